"""Where the images of a table are: in its own cells, in those of another table, or in files of a folder."""

import errno
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
from datasets import Dataset
from datasets import Image as ImageFeature
from huggingface_hub.constants import HF_HUB_CACHE
from numpy.typing import NDArray

from ablate.config.errors import ConfigError, unknown
from ablate.config.text import printable
from ablate.data.image_files import below, content_digests, read_file
from ablate.data.tables.read import Owner, Place, read_table


class Images(ABC):
    """The encoded images of a table's rows."""

    @abstractmethod
    def key(self, row: int) -> str | int:
        """Return what rows of one image share."""

    @abstractmethod
    def name(self, row: int) -> str:
        """Return what the user calls the image of a row."""

    @abstractmethod
    def content(self, row: int) -> bytes:
        """Read the encoded image of a row.

        Raises:
            ConfigError: If it cannot be read.
        """

    def digests(self, rows: Iterable[int]) -> Iterator[bytes]:
        """Decode the images of some rows once, and yield the SHA-256 of each.

        Raises:
            ConfigError: If one cannot be read or is broken.
        """
        if not self.are_shared:
            yield from content_digests((self.content(row), self.name(row)) for row in rows)
            return
        asked = list(rows)
        first = {self.key(row): row for row in reversed(asked)}
        found = content_digests((self.content(row), self.name(row)) for row in first.values())
        known = dict(zip(first, found, strict=True))
        yield from (known[self.key(row)] for row in asked)

    @property
    @abstractmethod
    def are_shared(self) -> bool:
        """Whether several rows may have one image."""


class FileImages(Images):
    """Images in files of a folder, whose names a column holds."""

    are_shared = True

    def __init__(self, owner: Owner, folder: Path, names: pa.ChunkedArray) -> None:
        """Check that every file is there.

        Raises:
            ConfigError: If one is not.
        """
        self._folder, self._names = folder, names
        for name in names.unique().to_pylist():
            try:
                below(folder, str(name))
            except ValueError as error:
                what = owner.name[:1].upper() + owner.name[1:]
                raise ConfigError(
                    f"{what} refers to image '{printable(str(name))}', which {error}. "
                    f"Fix: {owner.key}.image_folder=<the folder of its images>."
                ) from error

    def key(self, row: int) -> str:
        """Return the name of its file."""
        return str(self._names[row].as_py())

    def name(self, row: int) -> str:
        """Return the path of its file."""
        return str(self._folder / self.key(row))

    def content(self, row: int) -> bytes:
        """Read its file."""
        return read_file(self._folder / self.key(row))


class CellImages(Images):
    """Images in the cells of a table: encoded there, or as the path of a file."""

    def __init__(
        self,
        owner: Owner,
        cells: pa.ChunkedArray,
        column: str,
        folders: tuple[Path, ...],
        row_of: NDArray[np.int64] | None = None,
    ) -> None:
        """Take a column of images.

        Args:
            owner: Whose they are.
            cells: The column, of bytes and paths.
            column: Its name.
            folders: Where files that the cells name may be.
            row_of: Row of the column for every row of the questions, where they are two tables.
        """
        self._owner, self._cells, self._column, self._folders = owner, cells, column, folders
        self._row_of = row_of

    @property
    def are_shared(self) -> bool:
        """Whether several rows may have one image."""
        return self._row_of is not None

    def key(self, row: int) -> int:
        """Return the row of its cell."""
        return row if self._row_of is None else int(self._row_of[row])

    def name(self, row: int) -> str:
        """Say which cell it is."""
        return f"{self._column} of row {self.key(row)} of {self._owner.name.replace(chr(39), '')}"

    def content(self, row: int) -> bytes:
        """Read its cell, or the file that it names; only files beside the table or in the hub's caches are read."""
        cell = self._cells[self.key(row)].as_py() or {"bytes": None, "path": None}
        if cell["bytes"] is not None:
            content: bytes = cell["bytes"]
            return content
        if cell["path"] is None:
            raise ConfigError(
                f"'{self.name(row)}' is empty. Fix: add the image, or remove the row."
            )
        file: Path = self._folders[0] / cell["path"]
        if not any(file.resolve().is_relative_to(folder.resolve()) for folder in self._folders):
            raise ConfigError(
                f"'{self.name(row)}' is the file '{printable(str(file))}', which is outside"
                f" '{printable(str(self._folders[0]))}'. Fix: put the images into the table, or"
                f" {self._owner.key}.image_folder=<the folder they are in>."
            )
        try:
            if not file.is_file():
                raise FileNotFoundError(errno.ENOENT, "No such file")
            return file.read_bytes()
        except OSError as error:
            raise ConfigError(
                f"'{self.name(row)}' is the file '{printable(str(file))}', which cannot be read"
                f" ({error.strerror}). Fix: add it, or remove the row."
            ) from error


def find_images(
    owner: Owner,
    table: Dataset,
    path: str,
    column: str,
    folder: str | None,
    image_table: tuple[Place, str, str] | None,
) -> Images:
    """Find the image of every row, without decoding any.

    Args:
        owner: Whose they are.
        table: The table.
        path: Where it is.
        column: Its column of images, their file names or their ids.
        folder: Folder of the images, where the column names files.
        image_table: The table of the images, where the column holds their ids, with its columns of ids and images.

    Raises:
        ConfigError: If the column holds nothing of the kind, or an image is not there.
    """
    if folder is not None:
        return FileImages(owner, Path(folder).expanduser(), _arrow(table, column))
    if image_table is None:
        return CellImages(owner, _encoded(owner, table, column), column, _folders(path))
    place, id_column, image_column = image_table
    images = read_table(owner, place)
    for name in (id_column, image_column):
        if name not in images.column_names:
            raise unknown(f"column of the images of {owner.name}", name, images.column_names)
    row_of = {id_: row for row, id_ in enumerate(_arrow(images, id_column).to_pylist())}
    wanted = _arrow(table, column).to_pylist()
    missing = next((id_ for id_ in wanted if id_ not in row_of), None)
    if missing is not None:
        what = owner.name[:1].upper() + owner.name[1:]
        raise ConfigError(
            f"{what} refers to image '{printable(str(missing))}', which {place.path} does not have. "
            f"Fix: {owner.key}.image_table."
        )
    cells = _encoded(owner, images, image_column)
    rows = np.fromiter((row_of[id_] for id_ in wanted), dtype=np.int64, count=len(wanted))
    return CellImages(owner, cells, image_column, _folders(place.path), rows)


def holds_images(feature: Any) -> bool:  # noqa: ANN401  # `datasets` has no common type of features
    """Tell whether a column holds encoded images, whether or not the file says so."""
    if isinstance(feature, ImageFeature):
        return True
    return isinstance(feature, dict) and {"bytes", "path"} <= set(feature)


def _encoded(owner: Owner, table: Dataset, column: str) -> pa.ChunkedArray:
    feature = table.features[column]
    if holds_images(feature):
        return _arrow(table, column)
    raise ConfigError(
        f"Column '{column}' of {owner.name} holds {feature}, not images. Fix: if it names files, "
        f"{owner.key}.image_folder=<the folder they are in>."
    )


def _arrow(table: Dataset, column: str) -> pa.ChunkedArray:
    """Return a column as it is stored: no image is decoded, nothing is copied from a file."""
    return table.select_columns([column]).with_format("arrow")[:].column(column)


def _folders(path: str) -> tuple[Path, ...]:
    """Return where files that a table names may be: beside a table on disk, or where the hub's are kept."""
    place = Path(path).expanduser()
    beside = (place if place.is_dir() else place.parent,) if place.exists() else ()
    return (*beside, Path(datasets.config.HF_DATASETS_CACHE), Path(HF_HUB_CACHE))
