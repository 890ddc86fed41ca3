"""Tables of the hub or in files: which parts a data set has, and which column holds what."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag
from pydantic.dataclasses import dataclass

from ablate.config.schema.fields import CLOSED, PositiveInt


def _shape(value: object) -> str:
    if isinstance(value, Mapping):
        return "dict"
    return "str" if isinstance(value, str) else "list"


# The tags keep an error about one of the two from being reported as an error about both.
Columns = Annotated[
    Annotated[str, Tag("str")] | Annotated[tuple[str, ...], Field(min_length=2), Tag("list")],
    Discriminator(_shape),
]
ClassNames = Annotated[
    Annotated[dict[str, str], Tag("dict")]
    | Annotated[tuple[str, ...], Field(min_length=2), Tag("list")],
    Discriminator(_shape),
]


@dataclass(frozen=True, config=CLOSED)
class Part:
    """A part of a data set.

    Attributes:
        path: Hub id, folder or file, where it is not that of the data set.
        subset: Configuration of the data set, where it is not that of the data set.
        split: Its name; `a+b` for several. Means nothing for a single file.
        revision: Hub revision, where it has a path of its own.
    """

    path: str | None
    subset: str | None
    split: str
    revision: str | None


@dataclass(frozen=True, config=CLOSED)
class Parts:
    """The parts of a data set.

    Attributes:
        train: What is trained on.
        development: What recipes are chosen on; None to hold a share of `train` out.
        test: What is reported; None to hold a share of `train` out.
    """

    train: Part
    development: Part | None
    test: Part | None


@dataclass(frozen=True, config=CLOSED)
class ClassColumns:
    """Columns of a table of images with a class each.

    Attributes:
        id: Names an image; None to number the rows.
        image: The image, or the name of its file.
        label: Its class: a number or a text.
    """

    id: str | None
    image: str
    label: str


@dataclass(frozen=True, config=CLOSED)
class ChoiceColumns:
    """Columns of a table of multiple-choice questions.

    Attributes:
        id: Names an item; None to number the rows.
        image: The image, its file or its id.
        question: The question.
        hint: What stands before the question in some rows; None without.
        options: The options: a list; several columns, one each; or a text to be split.
        answer: The correct option.
        category: What shots are counted by and sessions are made of, of one or several columns; None without.
    """

    id: str | None
    image: str
    question: str
    hint: str | None
    options: Columns
    answer: str
    category: Columns | None


@dataclass(frozen=True, config=CLOSED)
class StatementColumns:
    """Columns of a table of statements, or questions to be answered by yes or no.

    Attributes:
        id: Names an item; None to number the rows.
        image: The image, its file or its id.
        question: The statement or question.
        answer: Whether it is true: yes and no, true and false, or 1 and 0.
        category: What shots are counted by and sessions are made of, of one or several columns; None without.
    """

    id: str | None
    image: str
    question: str
    answer: str
    category: Columns | None


@dataclass(frozen=True, config=CLOSED, kw_only=True)
class ChoiceFormat:
    """How a table holds multiple-choice questions.

    Attributes:
        columns: Where it holds what.
        answer: How it names the correct option.
        separator: What a text of options is split at; None where they are marked, as in `(a) open (b) closed`.
        empty: Texts that mean an empty cell, in a hint or an option's column.
        group_rows: Consecutive rows that belong together, such as the two of a pair; 1 for none.
    """

    columns: ChoiceColumns
    answer: Literal["letter", "index", "index-from-1", "text"]
    separator: str | None
    empty: tuple[str, ...]
    group_rows: PositiveInt


@dataclass(frozen=True, config=CLOSED, kw_only=True)
class StatementFormat:
    """How a table holds statements that are true or not.

    Attributes:
        columns: Where it holds what.
        positive: The word for what is true.
        negative: The word for what is not.
        group_rows: Consecutive rows that belong together, such as the two of a pair; 1 for none.
    """

    columns: StatementColumns
    positive: str
    negative: str
    group_rows: PositiveInt
