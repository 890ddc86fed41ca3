"""Tables of the Hugging Face hub, or of files in the same form."""

import contextlib
import errno
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
from datasets import Dataset, DatasetDict, load_dataset, load_from_disk
from datasets.exceptions import DatasetsError
from datasets.utils.logging import (
    disable_progress_bar,
    enable_progress_bar,
    is_progress_bar_enabled,
)

from ablate.config.errors import ConfigError, unknown
from ablate.config.text import printable

_SAVED = ("state.json", "dataset_dict.json")


def read_table(
    task: str, path: str, subset: str | None, split: str, revision: str | None
) -> Dataset:
    """Read a table of the Hugging Face hub, or a file or folder in the same form.

    Args:
        task: Name of the task, for messages.
        path: Hub id, folder or file.
        subset: Configuration of the data set, if it has several.
        split: Which part; means nothing for a single file.
        revision: Hub revision, or None for the latest.

    Raises:
        ConfigError: If it cannot be read.
    """
    place = Path(path).expanduser()
    try:
        if place.exists():
            with _no_bars():
                return _local(task, place, subset, split)
        return load_dataset(path, subset, split=split, revision=revision)
    except ConfigError:
        raise
    except (DatasetsError, OSError, ValueError, pa.ArrowException) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else ""
        raise ConfigError(
            f"The data of task '{task}' cannot be read from '{printable(path)}' "
            f"({type(error).__name__}: {printable(reason)}). Fix: tasks.tasks.{task}.data.path=<a hub"
            f" id, or a local folder or file>."
        ) from error


def _local(task: str, place: Path, subset: str | None, split: str) -> Dataset:
    if not place.is_dir() and not place.is_file():
        # Opening a pipe would block until it has a writer.
        raise OSError(errno.EINVAL, "it is not a regular file")
    if place.suffix in (".json", ".jsonl"):
        return Dataset.from_list(_json_rows(place))
    if place.suffix == ".parquet":
        return load_dataset("parquet", data_files=str(place), split="train")
    if any((place / name).is_file() for name in _SAVED):
        saved = load_from_disk(str(place))
        if not isinstance(saved, DatasetDict):
            return saved
        if split not in saved:
            raise unknown(f"split in task '{task}'", split, saved)
        return saved[split]
    return load_dataset(str(place), subset, split=split)


@contextlib.contextmanager
def _no_bars() -> Iterator[None]:
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
    text = file.read_text(encoding="utf-8")
    content = list(_json_lines(file, text)) if file.suffix == ".jsonl" else json.loads(text)
    rows = list(content.values()) if isinstance(content, dict) else content
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("it holds no rows of columns")
    if isinstance(content, dict):
        return [{"key": key, **row} for key, row in content.items()]
    return rows


def _json_lines(file: Path, text: str) -> Iterator[Any]:
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            try:
                yield json.loads(line)
            except ValueError as error:
                raise ConfigError(
                    f"Line {number} of {file} is not JSON ({error}). Fix: correct or delete it."
                ) from error
