"""Rows of a table with images, of which only what is asked for is in memory."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
import pyarrow as pa
from datasets import ClassLabel
from numpy.typing import NDArray
from PIL import Image

from ablate.config.errors import ConfigError, unknown
from ablate.config.schema.fields import CellValue
from ablate.config.schema.tasks import RowsData
from ablate.config.text import printable
from ablate.data.blank import BLANK
from ablate.data.decoding import read_rgb
from ablate.data.tables.images import Images, find_images
from ablate.data.tables.read import Owner, Place, read_table

_IMAGE_TOKEN = "<image>"


class Rows:
    """A table whose cells stay where they are, memory-mapped, until they are needed.

    Attributes:
        owner: Whose table it is.
        features: Type of every column.
    """

    def __init__(
        self,
        owner: Owner,
        table: pa.Table,
        features: Mapping[str, Any],
        images: Images,
        kept: NDArray[np.int64] | None = None,
    ) -> None:
        """Take a table, what finds its images, and which of its rows count; None for all."""
        self.owner, self.features = owner, features
        self._table, self._images, self._kept = table, images, kept
        self._columns = {name: table.column(name) for name in table.column_names}

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._table) if self._kept is None else len(self._kept)

    def where(self, values: Mapping[str, CellValue] | None) -> "Rows":
        """Keep the rows whose columns hold these values, compared as texts.

        Raises:
            ConfigError: If no row does.
        """
        if not values:
            return self
        columns = {column: (self.values(column), str(value)) for column, value in values.items()}
        chosen = [
            all(str(cells[row]) == value for cells, value in columns.values())
            for row in range(len(self))
        ]
        said = ", ".join(f"{column}: {value}" for column, value in values.items())
        return self._only(chosen, said, "where")

    def below(self, bounds: Mapping[str, float] | None) -> "Rows":
        """Keep the rows whose columns hold less than these numbers.

        Raises:
            ConfigError: If no row does, or a column holds something else than numbers, or nothing in a row.
        """
        if not bounds:
            return self
        chosen = np.ones(len(self), dtype=bool)
        for column, bound in bounds.items():
            try:
                numbers = np.asarray(self.values(column), dtype=np.float64)
            except (TypeError, ValueError) as error:
                raise ConfigError(
                    f"Column '{column}' of {self.owner.name} holds more than numbers, and {self.owner.key}.below is"
                    f" about numbers. Fix: another column, or {self.owner.key}.below=null."
                ) from error
            if (empty := np.isnan(numbers)).any():
                raise ConfigError(
                    f"Column '{column}' of {self.owner.name} is empty in row {self._place(int(empty.argmax()))}, and"
                    f" {self.owner.key}.below cannot tell whether that row counts. Fix: a number there, or"
                    f" {self.owner.key}.below=null."
                )
            chosen &= numbers < bound
        said = ", ".join(f"{column} below {bound:g}" for column, bound in bounds.items())
        return self._only(chosen, said, "below")

    def cell(self, column: str, row: int) -> Any:  # noqa: ANN401  # whatever the table holds
        """Return what a column holds in a row, as a plain value."""
        return self._columns[column][self._place(row)].as_py()

    def named(self, column: str, row: int) -> Any:  # noqa: ANN401  # whatever the table holds
        """Return what a column holds in a row; of a `ClassLabel` the name, None where it has none."""
        cell, feature = self.cell(column, row), self.features[column]
        if not isinstance(feature, ClassLabel) or cell is None:
            return cell
        return feature.names[cell] if 0 <= cell < len(feature.names) else None

    def id(self, column: str | None, row: int) -> str:
        """Return what a row is called: what a column holds in it, or its number where no column is given.

        Raises:
            ConfigError: If that column holds nothing there.
        """
        if column is None:
            return str(row)
        name = self.cell(column, row)
        if name is None:
            raise ConfigError(
                f"Column '{column}' of {self.owner.name} is empty in row {self._place(row)}, which has no other name."
                f" Fix: a name there, or {self.owner.key.removesuffix('.data')}.columns.id=null to number the rows."
            )
        return str(name)

    def values(self, column: str) -> list[Any]:
        """Return what a column holds in every row."""
        values = self._columns[column]
        found: list[Any] = (values if self._kept is None else values.take(self._kept)).to_pylist()
        return found

    def group(self, row: int, size: int) -> int:
        """Return the group of a row: `size` consecutive rows of the whole table, whichever of them count."""
        return self._place(row) // size

    def image_key(self, row: int) -> str | int:
        """Return what rows of one image share: the name of its file, else its own cell."""
        return self._images.key(self._place(row))

    def image(self, row: int) -> Image.Image:
        """Decode the image of a row as RGB.

        Raises:
            ConfigError: If it cannot be decoded.
        """
        place = self._place(row)
        return read_rgb(BytesIO(self._images.content(place)), self._images.name(place))

    def without_images(self) -> "Rows":
        """Return the same rows, whose images are blank: none is decoded."""
        return _BlankRows(self.owner, self._table, self.features, self._images, self._kept)

    def digests(self, rows: Iterable[int]) -> Iterator[tuple[int, bytes]]:
        """Decode the images of some rows once, to see that they are whole, and hash them.

        Yields:
            Every row with the SHA-256 of its encoded image, in the order of the rows.

        Raises:
            ConfigError: If there is no image, or a broken one.
        """
        asked = list(rows)
        found = self._images.digests(self._place(row) for row in asked)
        return zip(asked, found, strict=True)

    def _only(self, chosen: Sequence[bool] | NDArray[np.bool_], said: str, key: str) -> "Rows":
        (rows,) = np.nonzero(np.asarray(chosen))
        if not len(rows):
            raise ConfigError(
                f"No row of {self.owner.name} has {printable(said)}. Fix: {self.owner.key}.{key}=..."
            )
        kept = rows if self._kept is None else self._kept[rows]
        return Rows(self.owner, self._table, self.features, self._images, kept)

    def _place(self, row: int) -> int:
        return row if self._kept is None else int(self._kept[row])


class _BlankRows(Rows):
    def image(self, row: int) -> Image.Image:
        """Return a blank image."""
        del row
        return BLANK


def read_rows(
    owner: Owner,
    place: Place,
    columns: Sequence[str],
    image: str,
    image_folder: str | None,
    image_table: tuple[Place, str, str] | None = None,
) -> Rows:
    """Read a table without decoding any image.

    Args:
        owner: Whose it is.
        place: Where the table is.
        columns: Columns that are needed besides the image.
        image: Column of the image, its file name or its id.
        image_folder: Folder of the images, where that column names files.
        image_table: The table of the images, where that column holds their ids, with its columns of ids and images.

    Raises:
        ConfigError: If the table, a column, or an image is not there.
    """
    table = read_table(owner, place)
    for column in (*columns, image):
        if column not in table.column_names:
            raise unknown(f"column in {owner.name}", column, table.column_names)
    arrow: pa.Table = table.with_format("arrow")[:]
    images = find_images(owner, table, place.path, image, image_folder, image_table)
    return Rows(owner, arrow, table.features, images)


def read_task_rows(
    task: str, data: RowsData, columns: Sequence[str], image: str, first: int | None = None
) -> Rows:
    """Read the table of a task of a suite, without decoding any image.

    Args:
        task: Name of the task.
        data: Where the table is, and which of its rows count.
        columns: Columns that are needed besides the image.
        image: Column of the image, its file name or its id.
        first: Only so many rows; None for all.

    Raises:
        ConfigError: If the table, a column, or an image is not there.
    """
    owner = Owner(f"task '{task}'", f"tasks.tasks.{task}.data")
    place = Place(
        data.path, data.subset, data.split, data.revision, data.mirrors, data.files, first
    )
    images = None
    if data.image_table is not None:
        source = data.image_table
        images = (
            replace(place, path=source.path, subset=source.subset, split=source.split, first=None),
            source.id,
            source.image,
        )
    columns = [*columns, *(data.where or ()), *(data.below or ())]
    rows = read_rows(owner, place, columns, image, data.image_folder, images)
    return rows.where(data.where).below(data.below)


def check_items(owner: Owner, questions: Iterable[tuple[str, str]]) -> None:
    """Check the id and question of every item.

    Args:
        owner: Whose they are.
        questions: Id and question of every item.

    Raises:
        ConfigError: If two ids are equal, so that their rows could not be distinguished, or a question
            holds an image token.
    """
    seen: set[str] = set()
    columns = f"{owner.key.removesuffix('.data')}.columns"
    for id_, question in questions:
        if id_ in seen:
            raise ConfigError(
                f"Two items of {owner.name} have the id '{printable(id_)}'. Fix: remove one, or"
                f" {columns}.id=<a column that differs>, null to number the rows."
            )
        seen.add(id_)
        if _IMAGE_TOKEN in question:
            raise ConfigError(
                f"The question of item '{printable(id_)}' of {owner.name} is"
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
