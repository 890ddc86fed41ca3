"""Suites of tasks, and which of their tasks count in the stable scores."""

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag
from pydantic.dataclasses import dataclass

from ablate.config.schema.fields import CLOSED, NonNegativeFloat
from ablate.config.schema.tasks import Draw, TaskConfig


def _stable_tag(value: object) -> str:
    return "str" if isinstance(value, str) else "list"


# The tags keep an error about one of the two from being reported as an error about both.
Stable = Annotated[
    Annotated[Literal["auto"], Tag("str")]
    | Annotated[tuple[str, ...], Field(min_length=1), Tag("list")],
    Discriminator(_stable_tag),
]


@dataclass(frozen=True, config=CLOSED)
class StabilityConfig:
    """When a task carries signal above its noise, for `auto`.

    Attributes:
        noise_multiple: Its mean is above chance by more than this many standard errors over items.
        negligible_noise: Seed noise of up to this many standard errors over items counts as none.
        largest_noise_share: Else seed noise is below this share of the spread between configurations.
    """

    noise_multiple: NonNegativeFloat
    negligible_noise: NonNegativeFloat
    largest_noise_share: NonNegativeFloat


@dataclass(frozen=True, config=CLOSED)
class StableConfig:
    """Which tasks count in the stable scores: their names, or `auto` to decide from the runs.

    Attributes:
        vision: Of the vision tasks.
        text: Of the text tasks.
        rules: What `auto` decides by.
    """

    vision: Stable
    text: Stable
    rules: StabilityConfig


@dataclass(frozen=True, config=CLOSED)
class SuiteConfig:
    """Tasks that are evaluated together.

    Attributes:
        name: Name in the tables.
        draw: Which draw the tasks of the tiny world take; real data name their own split.
        tasks: The tasks, by the name they have in the tables.
        stable: Which of them count in the stable scores.
    """

    name: str
    draw: Draw
    tasks: Annotated[dict[str, TaskConfig], Field(min_length=1)]
    stable: StableConfig
