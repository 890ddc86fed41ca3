"""A run's own folder: who may write to it, and what is in it."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import yaml
from filelock import FileLock, Timeout

from ablate.results.files import replacing, write_text
from ablate.results.record import RunRecord


class RunFolder:
    """`outputs/<name>/runs/<run_id>`, owned by one process at a time.

    Attributes:
        path: The folder.
    """

    def __init__(self, sweep_folder: Path, run_id: str) -> None:
        self.path = sweep_folder / "runs" / run_id

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
        return self.path / "adapter.safetensors"

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
        lock = FileLock(self.path / ".lock", timeout=-1 if wait else patience_seconds)
        try:
            lock.acquire()
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

    def is_owned(self) -> bool:
        """Tell whether some process is at work in the folder right now."""
        if not (self.path / ".lock").exists():
            return False
        with self.owned(wait=False) as free:
            return not free

    def begin(self, config: dict[str, object], identity: dict[str, object]) -> None:
        """Start over: remove an earlier outcome, then say what this run is.

        Args:
            config: The run's whole configuration.
            identity: The columns known beforehand; they name the row of a run that never ended.
        """
        for stale in (
            "result.json",
            "items.parquet",
            "adapter.safetensors",
            "audit.csv",
            "log.txt",
        ):
            (self.path / stale).unlink(missing_ok=True)
        for folder in (self.model_path, self.partial_model_path):
            shutil.rmtree(folder, ignore_errors=True)
        write_text(self.path / "config.yaml", yaml.safe_dump(config, sort_keys=False))
        write_text(self.path / "started.json", json.dumps(identity, indent=1))

    def finish(self, record: RunRecord, items: pd.DataFrame | None) -> None:
        """Write the outcome; result.json comes last and makes the run count."""
        if items is not None:
            with replacing(self.path / "items.parquet") as temporary:
                items.to_parquet(temporary, index=False)
        write_text(self.path / "result.json", json.dumps(record.to_json(), indent=1))
        (self.path / "started.json").unlink(missing_ok=True)

    def read(self) -> RunRecord | None:
        """Return the outcome; a run that began and has no outcome is `interrupted`.

        Returns:
            The record, or None if nothing ever began here.
        """
        for name in ("result.json", "started.json"):
            try:
                content = json.loads((self.path / name).read_text(encoding="utf-8"))
            except FileNotFoundError:
                continue
            if name == "result.json":
                return RunRecord.from_json(content)
            return RunRecord({**content, "status": "interrupted"})
        return None
