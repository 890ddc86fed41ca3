"""How the values of an ablation are laid out along an axis, in pictures on paper and on the page."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from ablate.results.record import Cell, same_value

# Numbers that span more than this are told apart on a logarithmic axis only.
_WIDE_RATIO = 20
_MOST_NAMED = 9


@dataclass(frozen=True)
class ValueScale:
    """Places of an ablation's values.

    Attributes:
        kind: `log2` for powers of two, `log10` for positive numbers that span a wide range, `linear` for
            other numbers, `category` for anything else, in the given order.
        values: The values.
    """

    kind: Literal["log2", "log10", "linear", "category"]
    values: tuple[Cell, ...]

    @property
    def is_number(self) -> bool:
        """Whether distances along the axis mean something."""
        return self.kind != "category"

    def place(self, value: Cell) -> float:
        """Return where a value is."""
        if isinstance(value, bool) or not isinstance(value, int | float) or not self.is_number:
            return float([*map(same_value, self.values)].index(same_value(value)))
        if self.kind == "linear":
            return float(value)
        return math.log2(value) if self.kind == "log2" else math.log10(value)

    def number_at(self, place: float) -> float:
        """Return the number that is at a place, the reverse of `place` where distances mean something."""
        if self.kind == "linear":
            return place
        return math.pow(2.0 if self.kind == "log2" else 10.0, place)

    def aside(self, number: int, n: int) -> float:
        """Return how far line `number` of `n` stands beside its values' places, so that none hides another."""
        return (number - (n - 1) / 2) * min(0.16, 0.5 / n) * self.step()

    def step(self) -> float:
        """Return the distance of the two closest values, 1 for a single one."""
        places = sorted({self.place(value) for value in self.values})
        gaps = [after - before for before, after in pairwise(places)]
        return min(gaps, default=1.0)

    def named(self) -> list[Cell]:
        """Return the values to write at the axis, so few that they do not overlap."""
        if not self.is_number:
            return list(self.values)
        ordered = sorted(self.values, key=self.place)
        span = (self.place(ordered[-1]) - self.place(ordered[0])) or 1.0
        kept: list[Cell] = []
        for value in ordered:
            if not kept or self.place(value) - self.place(kept[-1]) >= span / _MOST_NAMED:
                kept.append(value)
        return kept


def scale_of(values: Sequence[Cell]) -> ValueScale:
    """Choose the scale for different values; at least one."""
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    if len(numbers) < len(values) or not all(math.isfinite(number) for number in numbers):
        return ValueScale("category", tuple(values))
    is_positive = min(numbers) > 0
    if len(numbers) >= 3 and is_positive and all(math.frexp(v)[0] == 0.5 for v in numbers):
        return ValueScale("log2", tuple(values))
    if is_positive and max(numbers) / min(numbers) >= _WIDE_RATIO:
        return ValueScale("log10", tuple(values))
    return ValueScale("linear", tuple(values))


def name_of(value: Cell) -> str:
    """Write a value as a configuration file has it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
