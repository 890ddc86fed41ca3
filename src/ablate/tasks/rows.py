"""Tables of questions about images: from the Hugging Face hub, or from files in the same form."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset, DatasetDict, load_dataset, load_from_disk
from datasets import Image as ImageFeature
from datasets.exceptions import DatasetsError
from PIL import Image

from ablate.config.errors import ConfigError, unknown
from ablate.config.schema.tasks import RowsData
from ablate.data.decoding import read_rgb

_SAVED = ("state.json", "dataset_dict.json")


@dataclass(frozen=True)
class Rows:
    """A table whose images stay encoded until one is asked for.

    Attributes:
        columns: Values of every column that is not an image, by column.
        images: What the image of every row is: a file, or a row of `image_cells`.
        image_cells: Encoded images; None where the images are files.
        image_column: Column of `image_cells`.
        sizes: Bytes of every row's encoded image.
    """

    columns: dict[str, list[Any]]
    images: Sequence[Path | int]
    image_cells: Dataset | None
    image_column: str
    sizes: Sequence[int]

    def image(self, row: int) -> Image.Image:
        """Decode the image of a row as RGB.

        Raises:
            ConfigError: If it cannot be decoded.
        """
        place = self.images[row]
        if isinstance(place, Path):
            return read_rgb(place, str(place))
        assert self.image_cells is not None
        cell = self.image_cells[place][self.image_column]
        if cell["bytes"] is None:
            return read_rgb(Path(cell["path"]), cell["path"])
        return read_rgb(BytesIO(cell["bytes"]), f"{self.image_column} of row {place}")


def read_rows(task: str, data: RowsData, columns: Sequence[str], image: str) -> Rows:
    """Read a table without decoding any image.

    Args:
        task: Name of the task, for messages.
        data: Where the table is.
        columns: Columns to read besides the image.
        image: Column of the image, its file name or its id.

    Raises:
        ConfigError: If the table, a column, or an image is not there.
    """
    table = _read_table(task, data.path, data.subset, data.split, data.revision)
    for column in (*columns, image):
        if column not in table.column_names:
            raise unknown(f"column in task '{task}'", column, table.column_names)
    values = {column: list(table[column]) for column in columns}
    if data.image_folder is not None:
        folder = Path(data.image_folder).expanduser()
        files = [folder / str(name) for name in table[image]]
        return Rows(values, files, None, image, [_size(task, file) for file in files])
    if data.image_table is None:
        cells = _encoded(task, table, image)
        return Rows(values, range(len(table)), cells, image, list(_byte_counts(cells, image)))
    source = data.image_table
    images = _read_table(task, source.path, source.subset, source.split, data.revision)
    for column in (source.id, source.image):
        if column not in images.column_names:
            raise unknown(f"column of the images of task '{task}'", column, images.column_names)
    row_of = {id_: row for row, id_ in enumerate(images[source.id])}
    wanted = list(table[image])
    missing = next((id_ for id_ in wanted if id_ not in row_of), None)
    if missing is not None:
        raise ConfigError(
            f"Task '{task}' asks about image '{missing}', which {source.path} does not have. "
            f"Fix: tasks.tasks.{task}.data.image_table."
        )
    cells = _encoded(task, images, source.image)
    sizes = list(_byte_counts(cells, source.image))
    rows = [row_of[id_] for id_ in wanted]
    return Rows(values, rows, cells, source.image, [sizes[row] for row in rows])


def _read_table(
    task: str, path: str, subset: str | None, split: str, revision: str | None
) -> Dataset:
    place = Path(path).expanduser()
    try:
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
        where = str(place) if place.is_dir() else path
        return load_dataset(where, subset, split=split, revision=revision)
    except ConfigError:
        raise
    except (DatasetsError, OSError, ValueError, pa.ArrowException) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else ""
        raise ConfigError(
            f"The data of task '{task}' cannot be read from '{path}' "
            f"({type(error).__name__}: {reason}). Fix: tasks.tasks.{task}.data.path=<a hub id, or "
            f"a local folder or file>."
        ) from error


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
                    f"Line {number} of {file} is no JSON ({error}). Fix: mend or delete it."
                ) from error


def _encoded(task: str, table: Dataset, column: str) -> Dataset:
    """Keep images as encoded bytes, whether or not the file says that they are images."""
    feature = table.features[column]
    if isinstance(feature, ImageFeature):
        return table.select_columns([column]).cast_column(column, ImageFeature(decode=False))
    if isinstance(feature, dict) and {"bytes", "path"} <= set(feature):
        return table.select_columns([column])
    raise ConfigError(
        f"Column '{column}' of task '{task}' holds no images but {feature}. Fix: if it names files, "
        f"tasks.tasks.{task}.data.image_folder=<the folder they are in>."
    )


def _byte_counts(cells: Dataset, column: str) -> Iterator[int]:
    """Yield the size of every encoded image without reading it."""
    for chunk in cells.with_format("arrow")[:][column].chunks:
        for size in pc.binary_length(pc.struct_field(chunk, "bytes")).to_pylist():
            yield size or 0


def _size(task: str, file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError as error:
        raise ConfigError(
            f"Task '{task}' asks about image {file}, which is not there. "
            f"Fix: tasks.tasks.{task}.data.image_folder=<the folder of its images>."
        ) from error


def drawn(ids: Sequence[str], n: int | None) -> list[int]:
    """Choose `n` items by the hash of their ids: the same ones in whatever order they come.

    Returns:
        Positions in ascending order; all of them if `n` is None or not smaller.
    """
    if n is None or n >= len(ids):
        return list(range(len(ids)))
    hashes = [hashlib.sha256(id_.encode()).digest() for id_ in ids]
    return sorted(sorted(range(len(ids)), key=lambda position: hashes[position])[:n])
