"""Rows of questions about images, whose images stay encoded until they are needed."""

import errno
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import datasets
from datasets import Dataset
from datasets import Image as ImageFeature
from huggingface_hub.constants import HF_HUB_CACHE
from PIL import Image

from ablate.config.errors import ConfigError, unknown
from ablate.config.schema.tasks import RowsData
from ablate.config.text import printable
from ablate.data.decoding import read_rgb
from ablate.data.image_files import below, checked_digest, digests
from ablate.data.tables.read import read_table

_IMAGE_TOKEN = "<image>"


@dataclass(frozen=True)
class Rows:
    """A table whose images stay encoded until they are needed.

    Attributes:
        columns: Values of every column that is not an image, by column.
        images: What the image of every row is: a file, or a row of `image_cells`.
        image_cells: Encoded images; None where the images are files.
        image_column: Column of `image_cells`.
        task: Name of the task, for messages.
        folders: Where files that are named in `image_cells` may be.
    """

    columns: dict[str, list[Any]]
    images: Sequence[Path | int]
    image_cells: Dataset | None
    image_column: str
    task: str
    folders: Sequence[Path]

    def image(self, row: int) -> Image.Image:
        """Decode the image of a row as RGB.

        Raises:
            ConfigError: If it cannot be decoded.
        """
        place = self.images[row]
        if isinstance(place, Path):
            return read_rgb(place, str(place))
        return read_rgb(BytesIO(self._content(place)), self._name(place))

    def digests(self, rows: Iterable[int]) -> dict[int, str]:
        """Decode the images of some rows once, to see that they are whole, and hash them.

        Returns:
            SHA-256 of the encoded image, by row.

        Raises:
            ConfigError: If there is no image, or a broken one.
        """
        rows = list(rows)
        places = list(dict.fromkeys(self.images[row] for row in rows))
        files = [place for place in places if isinstance(place, Path)]
        found: dict[Path | int, str] = dict(zip(files, digests(files), strict=True))
        for place in places:
            if not isinstance(place, Path):
                found[place] = checked_digest(self._content(place), self._name(place))
        return {row: found[self.images[row]] for row in rows}

    def _content(self, place: int) -> bytes:
        """Return an encoded image."""
        assert self.image_cells is not None
        cell = self.image_cells[place][self.image_column] or {"bytes": None, "path": None}
        if cell["bytes"] is not None:
            content: bytes = cell["bytes"]
            return content
        if cell["path"] is None:
            raise ConfigError(
                f"'{self._name(place)}' is empty. Fix: add the image, or remove the row."
            )
        file: Path = self.folders[0] / cell["path"]
        if not any(file.resolve().is_relative_to(folder.resolve()) for folder in self.folders):
            raise ConfigError(
                f"'{self._name(place)}' is the file '{printable(str(file))}', which is outside"
                f" '{printable(str(self.folders[0]))}'. Fix: put the images into the table, or"
                f" tasks.tasks.{self.task}.data.image_folder=<the folder they are in>."
            )
        try:
            if not file.is_file():
                raise FileNotFoundError(errno.ENOENT, "No such file")
            return file.read_bytes()
        except OSError as error:
            raise ConfigError(
                f"'{self._name(place)}' is the file '{printable(str(file))}', which cannot be read"
                f" ({error.strerror}). Fix: add it, or remove the row."
            ) from error

    def _name(self, place: int) -> str:
        return f"{self.image_column} of row {place} of task {self.task}"


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
    table = read_table(task, data.path, data.subset, data.split, data.revision)
    for column in (*columns, image):
        if column not in table.column_names:
            raise unknown(f"column in task '{task}'", column, table.column_names)
    values = {column: list(table[column]) for column in columns}
    if data.image_folder is not None:
        folder = Path(data.image_folder).expanduser()
        names = [str(name) for name in table[image]]
        files = {name: _file(task, folder, name) for name in dict.fromkeys(names)}
        return Rows(values, [files[name] for name in names], None, image, task, ())
    if data.image_table is None:
        cells = _encoded(task, table, image)
        return Rows(values, range(len(table)), cells, image, task, _folders(data.path))
    source = data.image_table
    images = read_table(task, source.path, source.subset, source.split, data.revision)
    for column in (source.id, source.image):
        if column not in images.column_names:
            raise unknown(f"column of the images of task '{task}'", column, images.column_names)
    row_of = {id_: row for row, id_ in enumerate(images[source.id])}
    wanted = list(table[image])
    missing = next((id_ for id_ in wanted if id_ not in row_of), None)
    if missing is not None:
        raise ConfigError(
            f"Task '{task}' refers to image '{missing}', which {source.path} does not have. "
            f"Fix: tasks.tasks.{task}.data.image_table."
        )
    cells = _encoded(task, images, source.image)
    rows = [row_of[id_] for id_ in wanted]
    return Rows(values, rows, cells, source.image, task, _folders(source.path))


def _encoded(task: str, table: Dataset, column: str) -> Dataset:
    """Keep images as encoded bytes, whether or not the file says that they are images."""
    feature = table.features[column]
    if isinstance(feature, ImageFeature):
        return table.select_columns([column]).cast_column(column, ImageFeature(decode=False))
    if isinstance(feature, dict) and {"bytes", "path"} <= set(feature):
        return table.select_columns([column])
    raise ConfigError(
        f"Column '{column}' of task '{task}' holds {feature}, not images. Fix: if it names files, "
        f"tasks.tasks.{task}.data.image_folder=<the folder they are in>."
    )


def _folders(path: str) -> tuple[Path, ...]:
    """Return where files that a table names may be: beside a table on disk, or where the hub's are kept."""
    place = Path(path).expanduser()
    beside = (place if place.is_dir() else place.parent,) if place.exists() else ()
    return (*beside, Path(datasets.config.HF_DATASETS_CACHE), Path(HF_HUB_CACHE))


def _file(task: str, folder: Path, name: str) -> Path:
    try:
        return below(folder, name)
    except ValueError as error:
        raise ConfigError(
            f"Task '{task}' refers to image '{printable(name)}', which {error}. "
            f"Fix: tasks.tasks.{task}.data.image_folder=<the folder of its images>."
        ) from error


def check_items(task: str, questions: Iterable[tuple[str, str]]) -> None:
    """Check the id and question of every item of a task.

    Args:
        task: Name of the task.
        questions: Id and question of every item.

    Raises:
        ConfigError: If two ids are equal, so that their rows could not be distinguished, or a question
            holds an image token.
    """
    seen: set[str] = set()
    for id_, question in questions:
        if id_ in seen:
            raise ConfigError(
                f"Two items of task '{task}' have the id '{printable(id_)}'. Fix: remove one, or"
                f" tasks.tasks.{task}.columns.id=<a column that differs>, null to number the rows."
            )
        seen.add(id_)
        if _IMAGE_TOKEN in question:
            raise ConfigError(
                f"The question of item '{printable(id_)}' of task '{task}' is"
                f" '{printable(question):.60}', where '{_IMAGE_TOKEN}' would stand for a second image."
                " Fix: rephrase it, or remove the item."
            )


def drawn(ids: Sequence[str], n: int | None) -> list[int]:
    """Choose `n` items by the hash of their ids: the same ones in whatever order they come.

    Returns:
        Positions in ascending order; all of them if `n` is None or not smaller.
    """
    if n is None or n >= len(ids):
        return list(range(len(ids)))
    hashes = [hashlib.sha256(id_.encode()).digest() for id_ in ids]
    return sorted(sorted(range(len(ids)), key=lambda position: hashes[position])[:n])
