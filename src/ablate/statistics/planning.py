"""How many more seeds or items would decide what is undecided, if all varies as it has so far."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ablate.statistics.crossed import Components, Floats, is_conservative
from ablate.statistics.estimate import ALPHA, POWER
from ablate.statistics.student import quantile

# The sizes that are tried: every number of seeds up to 100 and then steps of 3 %, as items are in all.
_SEEDS = np.unique(np.concatenate([np.arange(2, 101), np.geomspace(100, 1000, 78).round()]))
_TIMES = np.geomspace(1.0, 1000.0, 235)[1:]


@dataclass(frozen=True)
class Goal:
    """What it takes to decide: shown, or shown to be within a fixed margin, each at 0.05 with power 0.8.

    Attributes:
        margin: The user's margin of equivalence; None without one, as a margin that follows the data moves with it.
        n_tests: Values that are compared at once: 0.05 is divided by it, the most that Holm asks for.
    """

    margin: float | None = None
    n_tests: int = 1

    def is_reached(self, difference: float, se: Floats, df: Floats) -> NDArray[np.bool_]:
        """Tell, size by size, whether an observed difference would be decided."""
        alpha, power = ALPHA / self.n_tests, quantile(POWER, df)
        reached = abs(difference) > (quantile(1 - alpha / 2, df) + power) * se
        if self.margin is not None:
            room = self.margin - abs(difference)
            reached = reached | (room > (quantile(1 - alpha, df) + power) * se)
        return np.asarray(reached)


@dataclass(frozen=True)
class Needed:
    """Sizes that would decide, each with the other unchanged; None where no size up to a thousandfold would.

    Attributes:
        seeds: Number of seeds in all.
        items: Number of items in all.
    """

    seeds: int | None
    items: int | None


def needed(parts: Components, n_items: int, goal: Goal) -> Needed:
    """Find the smallest numbers of seeds and of items at which the observed difference would be decided.

    Args:
        parts: What varied so far.
        n_items: Items so far, of all tasks together.
        goal: When it is decided.
    """
    seeds, times = _SEEDS[parts.n_seeds < _SEEDS], _TIMES
    by_seeds = _decides(parts, seeds, np.ones(len(seeds)), goal)
    by_items = _decides(parts, np.full(len(times), float(parts.n_seeds)), times, goal)
    return Needed(
        _rounded(float(seeds[np.argmax(by_seeds)])) if by_seeds.any() else None,
        _rounded(n_items * float(times[np.argmax(by_items)])) if by_items.any() else None,
    )


def needed_seeds(differences: Floats, goal: Goal) -> int | None:
    """Find the same for a number that has no items.

    Args:
        differences: Value minus baseline, `[seeds]`, not all equal.
        goal: When it is decided.
    """
    seeds = _SEEDS[len(differences) < _SEEDS]
    se = float(differences.std(ddof=1)) / np.sqrt(seeds)
    decided = goal.is_reached(float(differences.mean()), se, seeds - 1.0)
    return _rounded(float(seeds[np.argmax(decided)])) if decided.any() else None


def _decides(parts: Components, seeds: Floats, times: Floats, goal: Goal) -> NDArray[np.bool_]:
    """Tell which of several sizes would decide: `seeds` seeds, and `times` as many items as now."""
    residual = float(sum(parts.residual))
    of_seed = max(float(parts.seeds) - residual, 0.0) * parts.n_seeds
    of_item = max(float(sum(parts.items)) - residual, 0.0)
    rest = residual * parts.n_seeds / (seeds * times)
    by_seed, by_item = of_seed / seeds + rest, of_item / times + rest
    n_units = sum(parts.n_units) * times
    subtracted = 0.0 if bool(is_conservative(parts)) else rest
    variance = by_seed + by_item - subtracted
    squares = by_seed**2 / (seeds - 1) + by_item**2 / (n_units - 1)
    squares = squares + subtracted**2 / ((seeds - 1) * (n_units - 1))
    df = variance**2 / squares
    return goal.is_reached(float(parts.difference), np.sqrt(variance), df)


def _rounded(number: float) -> int:
    """Round up to two significant digits: a forecast is no more precise."""
    step = 10 ** max(len(str(int(number))) - 2, 0)
    return int(-(-number // step) * step)
