"""Reading a table of the Hugging Face hub, or of files in the same form."""

import contextlib
import errno
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
from datasets import (
    Dataset,
    DatasetDict,
    load_dataset_builder,
    load_from_disk,
)
from datasets.exceptions import DatasetGenerationError, DatasetsError
from datasets.utils.logging import (
    disable_progress_bar,
    enable_progress_bar,
    is_progress_bar_enabled,
)
from huggingface_hub.constants import HF_HUB_OFFLINE

from ablate.config.errors import ConfigError, unknown
from ablate.config.text import printable
from ablate.data.tables.parquet import check_classes, read_piecewise

_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w.-]+")
# How `datasets` begins to say that there is no such split; it ends with a list of those that there are.
_NO_SPLIT = re.compile("Unknown split|Bad split")
_FILES = (".parquet", ".json", ".jsonl")
# What `save_to_disk` writes beside one table, and beside several.
_TABLE, _TABLES = "state.json", "dataset_dict.json"
# What `datasets` raises for data that are missing, unreachable, damaged or of another form.
UNREADABLE = (DatasetsError, OSError, ValueError, pa.ArrowException)


@dataclass(frozen=True)
class Owner:
    """Whose table it is, for messages.

    Attributes:
        name: Such as `task 'vsr'` or `data set 'gtsrb'`.
        key: Where its place is configured, such as `tasks.tasks.vsr.data` or `data`.
        splits: How another split is chosen, or none; the default is that of a task.
    """

    name: str
    key: str
    splits: str = "{key}.split=<one of them>"


@dataclass(frozen=True)
class Place:
    """Where a table is.

    Attributes:
        path: Hub id, folder or file.
        subset: Configuration of the data set, if it has several.
        split: Which part; means nothing for a single file.
        revision: Hub revision, or None for the latest.
        mirrors: Other hub ids of the same data, tried in their order where `path` cannot be read.
        files: File of a part, where the data set does not say itself which file is which part.
        first: Only so many rows, read without the rest; None for all.
    """

    path: str
    subset: str | None
    split: str
    revision: str | None
    mirrors: tuple[str, ...] = ()
    files: Mapping[str, str] | None = None
    first: int | None = None

    @property
    def is_local(self) -> bool:
        """Whether it is a folder or file of this machine."""
        return Path(self.path).expanduser().exists()

    @property
    def is_one_table(self) -> bool:
        """Whether it is one file, or one saved table, which has no splits."""
        path = Path(self.path).expanduser()
        return path.is_file() or ((path / _TABLE).is_file() and not (path / _TABLES).is_file())


def read_table(owner: Owner, place: Place) -> Dataset:
    """Read a table; it stays on disk, memory-mapped, unless it is JSON.

    Raises:
        ConfigError: If it cannot be read.
    """
    failures: dict[str, Exception] = {}
    for candidate in candidates(place):
        try:
            return _read(owner, candidate)
        except ConfigError:
            raise
        except UNREADABLE as error:
            if _NO_SPLIT.match(str(error)):
                known = re.findall(r"'([^']*)'", str(error))
                raise no_split(owner, place.split, known) from error
            failures[candidate.path] = error
    raise unreadable(owner, failures) from failures[place.path]


def no_split(owner: Owner, split: str, known: Iterable[str]) -> ConfigError:
    """Say that a data set does not have a split, and which it has."""
    found = unknown(f"split in {owner.name}", split, known)
    return ConfigError(f"{found} Fix: {owner.splits.format(key=owner.key)}.")


def is_hub_id(path: str) -> bool:
    """Tell whether a path can be the id of a data set of the hub."""
    return _HUB_ID.fullmatch(path) is not None


def candidates(place: Place) -> Iterator[Place]:
    """Yield a place and those of its mirrors that are of the same name; a revision is one of the first alone.

    A path that was put in the place of the hub's id, and cannot be read, is not made up for by other data.
    """
    yield place
    name = place.path.rpartition("/")[2]
    for mirror in place.mirrors:
        if is_hub_id(place.path) and mirror.rpartition("/")[2] == name:
            yield replace(place, path=mirror, revision=None)


def unreadable(owner: Owner, failures: Mapping[str, Exception]) -> ConfigError:
    """Say in one line that a table cannot be read: why not from the first place, and which others were tried."""
    (path, error), *others = failures.items()
    mirrors = "".join(f", nor from '{printable(mirror)}'" for mirror, _ in others)
    while isinstance(error, DatasetGenerationError) and isinstance(error.__cause__, Exception):
        error = error.__cause__
    reason = str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else ""
    if isinstance(error, ConnectionError):
        reason = f"there is no such folder or file, and the hub cannot be asked: {reason}"
    return ConfigError(
        f"The data of {owner.name} cannot be read from '{printable(path)}' "
        f"({type(error).__name__}: {printable(reason)}){mirrors}. Fix: {owner.key}.path=<a hub id, or a local"
        f" folder or file>."
    )


def _read(owner: Owner, place: Place) -> Dataset:
    if place.is_local:
        with no_bars():
            return _local(owner, Path(place.path).expanduser(), place)
    files = None if not place.files else {place.split: _file_of(owner, place)}
    return _load(place, place.path, place.subset, revision=place.revision, data_files=files)


def _local(owner: Owner, path: Path, place: Place) -> Dataset:
    if path.is_dir() and place.files:
        path /= _file_of(owner, place)
    if not path.is_dir() and not path.is_file():
        if not path.exists():
            raise FileNotFoundError(errno.ENOENT, f"there is no '{printable(path.name)}'")
        # Opening a pipe would block until it has a writer.
        raise OSError(errno.EINVAL, "it is not a regular file")
    if path.suffix in (".json", ".jsonl"):
        return _first(Dataset.from_list(_json_rows(path)), place)
    if path.suffix == ".parquet":
        return _load(replace(place, split="train"), "parquet", data_files=str(path))
    if path.is_file():
        raise ValueError(
            f"a file is read if it is one of {', '.join(_FILES)}, a folder if it holds others, too"
        )
    if any((path / name).is_file() for name in (_TABLE, _TABLES)):
        saved = load_from_disk(str(path))
        if not isinstance(saved, DatasetDict):
            return _first(saved, place)
        if place.split not in saved:
            raise no_split(owner, place.split, saved)
        return _first(saved[place.split], place)
    return _load(place, str(path), place.subset)


def _load(place: Place, path: str, subset: str | None = None, **given: object) -> Dataset:
    """Load a table, or stream its first rows: nothing else is downloaded then, or converted."""
    builder = load_dataset_builder(path, subset, **given)
    if place.is_local:
        check_classes(builder)
    if place.first is None or (HF_HUB_OFFLINE and not place.is_local):
        read_piecewise(builder)
        builder.download_and_prepare()
        return _first(builder.as_dataset(split=place.split), place)
    rows = builder.as_streaming_dataset(split=place.split).decode(False)
    return Dataset.from_list(list(rows.take(place.first)), features=rows.features)


def _first(table: Dataset, place: Place) -> Dataset:
    return table if place.first is None else table.select(range(min(place.first, len(table))))


def _file_of(owner: Owner, place: Place) -> str:
    files = place.files or {}
    if place.split not in files:
        raise unknown(f"split in {owner.key}.files", place.split, files)
    return files[place.split]


@contextlib.contextmanager
def no_bars() -> Iterator[None]:
    """Keep the bars of what takes a moment from the terminal; a download keeps its own."""
    was_enabled = is_progress_bar_enabled()
    disable_progress_bar()
    try:
        yield
    finally:
        if was_enabled:
            enable_progress_bar()


def _json_rows(file: Path) -> list[dict[str, Any]]:
    """Read a list of rows, JSON lines, or an object of rows by key (kept in the column `key`)."""
    text = file.read_text(encoding="utf-8-sig")
    content = list(_json_lines(file, text)) if file.suffix == ".jsonl" else json.loads(text)
    rows = list(content.values()) if isinstance(content, dict) else content
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise ValueError("it holds no rows of columns")
    if isinstance(content, dict):
        return [{"key": key, **row} for key, row in content.items()]
    return rows


def _json_lines(file: Path, text: str) -> Iterator[Any]:
    # Not splitlines(), which also ends a line at characters that JSON allows inside one.
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                yield json.loads(line)
            except ValueError as error:
                raise ConfigError(
                    f"Line {number} of {file} is not JSON ({error}). Fix: correct or delete it."
                ) from error
