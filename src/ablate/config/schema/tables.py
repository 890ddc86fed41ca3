"""Tables of the hub or in files: which parts a data set has, and which column holds what."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Discriminator, Field, Tag
from pydantic.dataclasses import dataclass

from ablate.config.schema.fields import CLOSED


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
    """

    path: str | None
    subset: str | None
    split: str


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
