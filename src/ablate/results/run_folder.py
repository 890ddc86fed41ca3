"""A run's own folder: who may write to it, and what is in it."""

import json
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import yaml

from ablate.results.files import (
    has_temporary,
    locked,
    remove_temporary,
    replacing,
    set_aside,
    sha256_of,
    write_text,
)
from ablate.results.items import write_items
from ablate.results.record import DamagedRecordError, RunRecord, read_record

DAMAGED = "damaged"
_LOCK = ".lock"
_CONFIG = "config.yaml"
_RESULT = "result.json"
_STARTED = "started.json"
_ITEMS = "items.parquet"
_ADAPTER = "adapter.safetensors"


class RunFolder:
    """`outputs/<name>/runs/<run_id>`, owned by one process at a time.

    Attributes:
        path: The folder.
    """

    def __init__(self, sweep_folder: Path, run_id: str) -> None:
        self.path = sweep_folder / "runs" / run_id

    @property
    def sweep_path(self) -> Path:
        """The folder of the sweep that the run belongs to."""
        return self.path.parents[1]

    @property
    def run_id(self) -> str:
        """The folder's name."""
        return self.path.name

    @property
    def log_path(self) -> Path:
        """Where the run's log goes."""
        return self.path / "log.txt"

    @property
    def adapter_path(self) -> Path:
        """Where the trained update goes."""
        return self.path / _ADAPTER

    @property
    def training_path(self) -> Path:
        """Where a run whose training has ended, and whose evaluation has not, says what was trained."""
        return self.path / "training.json"

    @property
    def checkpoint_path(self) -> Path:
        """Where a run whose training goes on keeps its state."""
        return self.path / "checkpoint.safetensors"

    @property
    def answers_path(self) -> Path:
        """Where a run whose evaluation goes on keeps the answers so far."""
        return self.path / "answers.json"

    @property
    def model_path(self) -> Path:
        """Where the trained model goes, if it is kept."""
        return self.path / "model"

    @property
    def partial_model_path(self) -> Path:
        """Where the trained model is written before it is whole."""
        return self.path / ".model.partial"

    @property
    def audit_path(self) -> Path:
        """Where the table of what is trained goes."""
        return self.path / "audit.csv"

    @property
    def of_training(self) -> tuple[Path, ...]:
        """All that a training leaves."""
        trained = (self.adapter_path, self.audit_path, self.log_path)
        return (*trained, self.training_path, self.checkpoint_path)

    @property
    def tracked_path(self) -> Path:
        """Where it says which trackers have the run."""
        return self.path / "trackers.json"

    @contextmanager
    def owned(self, wait: bool, patience_seconds: float = 0) -> Iterator[bool]:
        """Own the folder for the length of the block.

        Args:
            wait: Wait for another process that owns it, however long that takes.
            patience_seconds: Else, how long to wait: others may only be looking.

        Yields:
            Whether this process owns the folder now.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with locked(self.path / _LOCK, -1 if wait else patience_seconds) as is_owned:
            yield is_owned

    def is_owned(self) -> bool:
        """Tell whether some process is using the folder."""
        if not (self.path / _LOCK).is_file():
            return False
        with self.owned(wait=False) as free:
            return not free

    def begin(
        self, config: dict[str, object], record: RunRecord, keep: Collection[Path] = ()
    ) -> None:
        """Start over: remove an earlier outcome, then say what this run is.

        Args:
            config: The run's whole configuration.
            record: What is known in advance; it is the row of a run that never ended.
            keep: What an earlier try has left that this one goes on from.
        """
        outcome = (self.path / _RESULT, self.path / _ITEMS, self.tracked_path)
        for path in (*outcome, *self.of_training, self.answers_path):
            if path not in keep:
                path.unlink(missing_ok=True)
        for folder in (self.model_path, self.partial_model_path):
            shutil.rmtree(folder, ignore_errors=True)
        remove_temporary(self.path)
        write_text(self.path / _CONFIG, yaml.safe_dump(config, sort_keys=False))
        write_text(self.path / _STARTED, json.dumps(record.to_json(), indent=1))

    def finish(self, record: RunRecord, items: pd.DataFrame | None) -> None:
        """Write the outcome; result.json comes last and makes the run count.

        Args:
            record: The outcome; its `files` are filled in.
            items: One row per item; None where there is no outcome, and what was trained then stays for the next try.
        """
        if items is not None:
            with replacing(self.path / _ITEMS) as temporary:
                write_items(items, temporary)
            kept = [self.path / name for name in (_ITEMS, _ADAPTER)]
            record.files = {path.name: sha256_of(path) for path in kept if path.is_file()}
        self.rewrite(record)
        (self.path / _STARTED).unlink(missing_ok=True)
        if items is not None:
            for path in (self.training_path, self.checkpoint_path, self.answers_path):
                path.unlink(missing_ok=True)

    def rewrite(self, record: RunRecord) -> None:
        """Replace the record alone."""
        write_text(self.path / _RESULT, json.dumps(record.to_json(), indent=1))

    def read(self) -> RunRecord | None:
        """Return the outcome; a run that began and has no outcome is `interrupted`.

        Returns:
            The record, or None if nothing ever began here.

        Raises:
            DamagedRecordError: If the record is not whole.
        """
        record = self._read(_RESULT)
        return self._read(_STARTED) if record is None else record

    def is_at_work(self) -> bool:
        """Tell whether the run has begun, has no outcome yet, and some process owns it."""
        return not (self.path / _RESULT).exists() and self.is_owned()

    def what_is_damaged(self, record: RunRecord) -> str | None:
        """Say which of a finished run's files is missing or has changed since it was written; None if all are whole."""
        for name, digest in record.files.items():
            path = self.path / name
            if not path.is_file():
                return f"{name} is missing"
            if sha256_of(path) != digest:
                return f"{name} has changed since it was written"
        return None if _ITEMS in record.files else f"{_ITEMS} is not recorded"

    def set_aside(self) -> Path:
        """Move all that is in the folder to `damaged/` beside `runs/`, so that the run can be made again.

        Call it while owning the folder.

        Returns:
            Where it is now.
        """
        aside = self.path / ".aside"
        aside.mkdir(exist_ok=True)
        for path in list(self.path.iterdir()):
            if path not in (aside, self.path / _LOCK):
                path.rename(aside / path.name)
        aside = aside.rename(self.path / self.run_id)
        return set_aside(aside, self.sweep_path / DAMAGED)

    def tidy(self) -> None:
        """Remove what a killed process left half written, unless some process is using the folder."""
        if not self.path.is_dir() or not (
            has_temporary(self.path) or self.partial_model_path.exists()
        ):
            return
        with self.owned(wait=False) as mine:
            if mine:
                remove_temporary(self.path)
                shutil.rmtree(self.partial_model_path, ignore_errors=True)

    def _read(self, name: str) -> RunRecord | None:
        path = self.path / name
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except NotADirectoryError as error:
            raise DamagedRecordError("it is a file, not a folder") from error
        except IsADirectoryError as error:
            raise DamagedRecordError(f"{name} is a folder, not a file") from error
        except OSError as error:
            raise DamagedRecordError(f"{name} cannot be read: {error.strerror}") from error
        try:
            record = read_record(content, self.run_id)
        except DamagedRecordError as error:
            raise DamagedRecordError(f"{name} is damaged: {error}") from error
        if name == _STARTED and record.status != "interrupted":
            raise DamagedRecordError(f"{name} is damaged: its status is {record.status}")
        return record
