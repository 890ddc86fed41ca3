"""How many more seeds or items would decide what is undecided, if all varies as it has so far."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from ablate.statistics.crossed import Components, Floats, is_conservative
from ablate.statistics.estimate import ALPHA, POWER

_MOST_SEEDS = 1000
_MOST_TIMES = 1000.0


@dataclass(frozen=True)
class Needed:
    """Sizes that would decide, each with the other unchanged; None where no size up to a thousandfold would.

    Attributes:
        seeds: Number of seeds in all.
        items: Number of items in all.
    """

    seeds: int | None
    items: int | None


def needed(parts: Components, n_items: int, margin: float | None) -> Needed:
    """Find the smallest numbers of seeds and of items at which the observed difference would be decided.

    Decided is: shown to be one, or, with a fixed margin, shown to be within it; each at 0.05 with power 0.8.

    Args:
        parts: What varied so far.
        n_items: Items so far, of all tasks together.
        margin: The user's margin of equivalence; None without one, since a margin that follows the data moves with it.
    """
    seeds = np.arange(parts.n_seeds + 1, _MOST_SEEDS + 1)
    times: Floats = np.geomspace(1.0, _MOST_TIMES, 2000)[1:]
    by_seeds = _decides(parts, seeds.astype(float), np.ones(len(seeds)), margin)
    by_items = _decides(parts, np.full(len(times), float(parts.n_seeds)), times, margin)
    return Needed(
        int(seeds[np.argmax(by_seeds)]) if by_seeds.any() else None,
        _rounded(n_items * float(times[np.argmax(by_items)])) if by_items.any() else None,
    )


def needed_seeds(differences: Floats, margin: float | None) -> int | None:
    """Find the same for a number that has no items.

    Args:
        differences: Value minus baseline, `[seeds]`, not all equal.
        margin: The user's margin of equivalence, if there is one.
    """
    seeds = np.arange(len(differences) + 1, _MOST_SEEDS + 1).astype(np.float64)
    se = float(differences.std(ddof=1)) / np.sqrt(seeds)
    decided = _is_decided(abs(float(differences.mean())), se, seeds - 1.0, margin)
    return int(seeds[np.argmax(decided)]) if decided.any() else None


def _decides(parts: Components, seeds: Floats, times: Floats, margin: float | None) -> Floats:
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
    return _is_decided(abs(float(parts.difference)), np.sqrt(variance), df, margin)


def _is_decided(difference: float, se: Floats, df: Floats, margin: float | None) -> Floats:
    power = stats.t.ppf(POWER, df)
    decided = difference > (stats.t.ppf(1 - ALPHA / 2, df) + power) * se
    if margin is not None:
        decided |= margin - difference > (stats.t.ppf(1 - ALPHA, df) + power) * se
    return np.asarray(decided)


def _rounded(number: float) -> int:
    """Round up to two significant digits: a forecast is no more precise."""
    step = 10 ** max(len(str(int(number))) - 2, 0)
    return int(-(-number // step) * step)
