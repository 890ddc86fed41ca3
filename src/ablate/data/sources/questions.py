"""Questions about images as a data set: multiple choice, yes or no."""

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ablate.config.errors import ConfigError
from ablate.config.schema import YesNoData
from ablate.config.schema.data import QuestionData
from ablate.data.clusters import clusters_of
from ablate.data.sources.hub import LabelledRows, RowIds, image_keys
from ablate.data.sources.parts import KEY, Keys, divide, read_parts
from ablate.data.tables.questions import Question, needed_columns, read_question
from ablate.data.tables.rows import Rows, check_items
from ablate.data.types import Groups, ImageQuestions, MultipleChoiceItem

# The category of all questions where the table names none.
ONE_CATEGORY = "questions"


@dataclass(frozen=True)
class QuestionRows(LabelledRows):
    """One part: rows of a table with a question each.

    Attributes:
        config: How the table holds them.
        images_known: What the image of every row of the table is known by.
    """

    config: QuestionData
    images_known: Keys

    def read(self, index: int) -> Question:
        """Read a question as the table has it."""
        return read_question(self.rows, self.config, int(self.chosen[index]), self.ids[index])

    def questions(self, indices: Sequence[int]) -> list[MultipleChoiceItem]:
        """Read questions as they are put; the image of each is its place among them."""
        items = []
        for place, index in enumerate(indices):
            read = self.read(index)
            asked = self.config.question.replace("{question}", read.asked)
            cluster = self._clusters[index]
            options, answer = read.options, read.answer
            items.append(
                MultipleChoiceItem(
                    self.ids[index],
                    place,
                    asked,
                    options,
                    answer,
                    cluster,
                    isinstance(self.config, YesNoData),
                )
            )
        return items

    def asked(self, indices: Sequence[int]) -> list[str]:
        """Return what the table asks."""
        return [self.read(index).asked for index in indices]

    def without_images(self) -> "QuestionRows":
        """Return the same questions about blank images: none is decoded."""
        return replace(self, rows=self.rows.without_images())

    @cached_property
    def _clusters(self) -> list[str]:
        """What every item of the part shares with those that it is not independent of."""
        size = self.config.group_rows
        groups = [self.rows.group(int(row), size) for row in self.chosen]
        return clusters_of(groups, [bytes(self.images_known[row]) for row in self.chosen], size)


class _Captions(Sequence[str]):
    """A text about the image of every item, for `loss=clip`."""

    def __init__(self, part: QuestionRows) -> None:
        self._part = part

    def __len__(self) -> int:
        return len(self._part.chosen)

    def __getitem__(self, index: Any) -> Any:  # noqa: ANN401  # slices are not needed
        read, config = self._part.read(index), self._part.config
        of_answer = read.answer if isinstance(config, YesNoData) else 0
        text = config.templates[min(of_answer, len(config.templates) - 1)]
        return text.replace("{question}", read.asked).replace("{answer}", read.options[read.answer])


def load_questions(config: QuestionData, key: str) -> ImageQuestions:
    """Read the tables, every question, and every image once to see that it is whole.

    Sessions are made of the categories; without any, the training items are dealt out to the sessions.

    Args:
        config: Where they are and what they hold.
        key: Where that is configured, for messages.

    Raises:
        ConfigError: If they cannot be read, do not fit the configuration, or have an item in two parts.
    """
    tables = read_parts(config, key, needed_columns(config), config.columns.image)
    images = [image_keys(table) for table in tables.all()]
    known = [_known(t, config, i) for t, i in zip(tables.all(), images, strict=True)]
    categories, labels = _categories(tables.all(), config)
    train, evaluated = divide(
        config,
        key,
        Groups(categories, labels[0].tolist()),
        keys=known[0].asked,
        together=images[0][_first_of_group(tables.train, config.group_rows)],
        evaluated_keys=known[1].asked if known[1:] else None,
    )
    part = _part(config, tables.train, train, labels[0], images[0])
    tested = _part(config, tables.all()[-1], evaluated, labels[-1], images[-1])
    content = hashlib.sha256(repr((categories, config.question)).encode())
    for name, one, of_table in (("train", part, known[0]), ("test", tested, known[-1])):
        for label, id_, row in zip(one.labels, one.ids, one.chosen, strict=True):
            content.update(repr((name, label, id_, of_table.whole[row])).encode())
    return ImageQuestions(
        name=config.name,
        class_names=categories,
        question=config.question,
        templates=config.templates,
        train=part,
        test=tested,
        fingerprint=content.hexdigest(),
        captions=_Captions(part),
        groups=_groups(config, categories, part),
    )


class _Known(NamedTuple):
    """SHA-256 of every item: of its image and what is asked, and with its options and answer, `[rows]`."""

    asked: Keys
    whole: Keys


def _known(table: Rows, config: QuestionData, images: Keys) -> _Known:
    """Hash every item; every question is read and checked on the way."""
    known = _Known(np.empty(len(table), KEY), np.empty(len(table), KEY))
    for row in range(len(table)):
        read = read_question(table, config, row, table.id(config.columns.id, row))
        asked = hashlib.sha256(bytes(images[row]) + read.asked.encode())
        known.asked[row] = asked.digest()
        asked.update(repr((read.options, read.answer)).encode())
        known.whole[row] = asked.digest()
    return known


def _first_of_group(table: Rows, size: int) -> NDArray[np.int64]:
    """Return the first row of the group of every row."""
    groups = [table.group(row, size) for row in range(len(table))]
    _, first, group = np.unique(groups, return_index=True, return_inverse=True)
    return first[group]


def _categories(
    tables: Sequence[Rows], config: QuestionData
) -> tuple[tuple[str, ...], list[NDArray[np.int32]]]:
    columns = config.columns.category
    if columns is None:
        return (ONE_CATEGORY,), [np.zeros(len(table), dtype=np.int32) for table in tables]
    columns = (columns,) if isinstance(columns, str) else columns
    found = [
        ["__".join(map(str, cells)) for cells in zip(*map(table.values, columns), strict=True)]
        for table in tables
    ]
    names = tuple(sorted(set().union(*found)))
    index = {name: place for place, name in enumerate(names)}
    return names, [np.array([index[name] for name in values], dtype=np.int32) for values in found]


def _groups(config: QuestionData, categories: tuple[str, ...], part: QuestionRows) -> Groups:
    """Say what sessions are made of: categories that are trained on, or items dealt out in whole groups of rows."""
    if config.columns.category is not None:
        labels = part.labels
        present = sorted(set(labels))
        place = {label: position for position, label in enumerate(present)}
        names = tuple(categories[label] for label in present)
        return Groups(names, [place[label] for label in labels])
    group = [part.rows.group(int(row), config.group_rows) for row in part.chosen]
    order = sorted(set(group))
    random.Random(f"sessions/{config.split_seed}").shuffle(order)
    session = {one: position % config.sessions for position, one in enumerate(order)}
    names = tuple(f"part {number + 1}" for number in range(config.sessions))
    return Groups(names, [session[one] for one in group])


def _part(
    config: QuestionData,
    table: Rows,
    chosen: NDArray[np.int64],
    labels: NDArray[np.int32],
    keys: Keys,
) -> QuestionRows:
    ids = RowIds(table, chosen, config.columns.id)
    if len(chosen) == 0:
        raise ConfigError(f"Data set '{config.name}' has a part without rows. Fix: data.parts=...")
    question = config.columns.question
    asked = (str(table.cell(question, int(row))) for row in chosen)
    check_items(table.owner, zip(ids, asked, strict=True))
    return QuestionRows(table, chosen, labels[chosen].tolist(), ids, config, keys)
