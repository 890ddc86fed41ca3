"""Any image-classification set of the hub, or of files in the same form."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ablate.config.schema import HubData
from ablate.data.sources.labels import Labels, class_labels
from ablate.data.sources.parts import KEY, Keys, divide, read_parts
from ablate.data.tables.rows import Rows, check_items
from ablate.data.types import Groups, ImageClassification


class RowIds(Sequence[str]):
    """Names of some rows of a table, read when they are asked for."""

    def __init__(self, rows: Rows, chosen: NDArray[np.int64], column: str | None) -> None:
        """Name the rows `chosen` by a column, or by their number."""
        self._rows, self._chosen, self._column = rows, chosen, column

    def __len__(self) -> int:
        """Return the number of names."""
        return len(self._chosen)

    def __getitem__(self, position: Any) -> Any:  # noqa: ANN401  # slices are not needed
        """Return the name at a position."""
        return self._rows.id(self._column, int(self._chosen[position]))


@dataclass(frozen=True)
class LabelledRows:
    """One part: rows of a table with their classes.

    Attributes:
        rows: The table.
        chosen: Its rows, `[n]`.
        labels: Their class indices.
        ids: Their names.
    """

    rows: Rows
    chosen: NDArray[np.int64]
    labels: Sequence[int]
    ids: Sequence[str]

    def images(self, indices: Sequence[int]) -> list[Image.Image]:
        """Decode images as RGB."""
        return [self.rows.image(int(self.chosen[index])) for index in indices]


def load_hub(config: HubData, key: str) -> ImageClassification:
    """Read the tables, and every image once to see that it is whole.

    Args:
        config: Where they are and what they hold.
        key: Where that is configured, for messages.

    Raises:
        ConfigError: If they cannot be read, do not fit the configuration, or have a row in two parts.
    """
    tables = read_parts(config, key, class_columns(config), config.columns.image)
    names, labels = class_labels(tables.train.owner, tables.all(), config)
    keys = [image_keys(table) for table in tables.all()]
    strata, of_evaluated = Groups(names, labels[0].tolist()), keys[1] if keys[1:] else None
    train, evaluated = divide(config, key, strata, keys[0], keys[0], of_evaluated)
    parts = {
        "train": _part(config, tables.train, train, labels[0]),
        "test": _part(config, tables.all()[-1], evaluated, labels[-1]),
    }
    content = hashlib.sha256(repr(names).encode())
    for (name, part), of_table in zip(parts.items(), (keys[0], keys[-1]), strict=True):
        for label, id_, row in zip(part.labels, part.ids, part.chosen, strict=True):
            content.update(repr((name, label, id_, of_table[row])).encode())
    return ImageClassification(
        name=config.name,
        class_names=names,
        question=config.question,
        templates=config.templates,
        train=parts["train"],
        test=parts["test"],
        fingerprint=content.hexdigest(),
    )


def class_columns(config: HubData) -> list[str]:
    """Return the columns that are read besides the image."""
    return [column for column in (config.columns.id, config.columns.label) if column]


def image_keys(table: Rows) -> Keys:
    """Hash the image of every row, `[rows]`.

    Raises:
        ConfigError: If one is missing or broken.
    """
    digests = (digest for _, digest in table.digests(range(len(table))))
    return np.fromiter(digests, dtype=KEY, count=len(table))


def _part(config: HubData, table: Rows, chosen: NDArray[np.int64], labels: Labels) -> LabelledRows:
    ids = RowIds(table, chosen, config.columns.id)
    check_items(table.owner, ((id_, "") for id_ in ids))
    return LabelledRows(table, chosen, labels[chosen].tolist(), ids)
