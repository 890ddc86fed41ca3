"""The crossed test: seeds and items are both drawn at random, and every seed answers every item.

Two-way random effects without replication, with Satterthwaite's degrees of freedom (Satterthwaite, 1946; Owen, "The
pigeonhole bootstrap", 2007). docs/statistics.md says why it is this test.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ablate.statistics.estimate import Estimate, two_sided
from ablate.statistics.student import survival

Floats = NDArray[np.float64]
# Nothing varies, so that there is no standard error: all of n items point one way by chance with 2^(1 - n).
SIGN = "sign test: the same difference in every item"
# A variance of fractions up to here is a rounding error.
NOTHING = 1e-20


@dataclass(frozen=True)
class Stratum:
    """The items of one task: their paired differences, and how much the task counts.

    Attributes:
        differences: Value minus baseline, `[seeds, items]`; a leading axis of repetitions may stand before.
        clusters: Which items are not independent: the same number for the items of one image, `[items]`.
        weight: What the task's mean is multiplied by in the sum over tasks.
    """

    differences: Floats
    clusters: NDArray[np.int64]
    weight: float = 1.0

    @property
    def units(self) -> Floats:
        """The differences by cluster, `[seeds, clusters]`, with the mean over items in every seed.

        A cluster of the mean size is the mean of its items; a larger one is as much farther from the seed's mean
        (the linearised mean over clusters), so that items, not clusters, count the same.
        """
        n_items, n_clusters = len(self.clusters), int(self.clusters.max()) + 1
        if n_clusters == n_items:
            return self.differences
        means = self.differences.mean(axis=-1, keepdims=True)
        order = np.argsort(self.clusters, kind="stable")
        starts = np.searchsorted(self.clusters[order], np.arange(n_clusters))
        centred = (self.differences - means)[..., order]
        return np.asarray(
            means + np.add.reduceat(centred, starts, axis=-1) * (n_clusters / n_items)
        )


@dataclass(frozen=True)
class Components:
    """The parts of the variance of a mean over seeds and items, each already divided by its number.

    For one task of weight 1 with S seeds and I items they are MS_seeds, MS_items and MS_residual over S I.

    Attributes:
        difference: The mean.
        n_seeds: S.
        n_units: I of every task.
        seeds: From the spread of the seeds' means.
        items: From the spread of the items' means, by task.
        residual: From what neither explains, by task.
    """

    difference: Floats
    n_seeds: int
    n_units: tuple[int, ...]
    seeds: Floats
    items: tuple[Floats, ...]
    residual: tuple[Floats, ...]

    def variance(self, conservative: bool) -> tuple[Floats, Floats]:
        """Return the variance of the mean and its degrees of freedom.

        Args:
            conservative: Leave the residual out of both: never too small, at most twice too large.
        """
        residual = 0.0 * self.seeds if conservative else sum(self.residual, 0.0 * self.seeds)
        variance = self.seeds + sum(self.items) - residual
        squares = self.seeds**2 / (self.n_seeds - 1)
        for n, items, rest in zip(self.n_units, self.items, self.residual, strict=True):
            squares = squares + items**2 / (n - 1)
            if not conservative:
                squares = squares + rest**2 / ((self.n_seeds - 1) * (n - 1))
        with np.errstate(invalid="ignore", divide="ignore"):
            return variance, variance**2 / squares


def components(strata: Sequence[Stratum]) -> Components:
    """Split the variance of sum_k weight_k mean_k over tasks k, which share their seeds and not their items.

    Args:
        strata: At least one task, of at least two seeds and two clusters each.
    """
    sums = 0.0
    items, residuals, n_units = [], [], []
    for stratum in strata:
        units = stratum.units
        n_seeds, n = units.shape[-2:]
        by_seed, by_unit = units.mean(axis=-1), units.mean(axis=-2)
        mean = by_seed.mean(axis=-1)
        sums = sums + stratum.weight * by_seed
        rest = units - by_seed[..., :, None] - by_unit[..., None, :] + mean[..., None, None]
        share = stratum.weight**2 / (n_seeds * n)
        ms_items = n_seeds * ((by_unit - mean[..., None]) ** 2).sum(axis=-1) / (n - 1)
        ms_rest = (rest**2).sum(axis=(-2, -1)) / ((n_seeds - 1) * (n - 1))
        items.append(share * ms_items)
        residuals.append(share * ms_rest)
        n_units.append(n)
    means = np.asarray(sums)
    return Components(
        means.mean(axis=-1),
        means.shape[-1],
        tuple(n_units),
        means.var(axis=-1, ddof=1) / means.shape[-1],
        tuple(items),
        tuple(residuals),
    )


def is_conservative(parts: Components) -> NDArray[np.bool_]:
    """Tell where the conservative form is taken: with two seeds, and where the variance is none to work with.

    It may come out negative, or positive by so little that less than one degree of freedom is left to it: t then
    makes an interval of millions of an error of nearly nothing. The conservative form has one at least.
    """
    variance, df = parts.variance(conservative=False)
    return (variance <= 0) | (df < 1) | (parts.n_seeds == 2)


def crossed_test(parts: Components) -> tuple[Floats, Floats, Floats]:
    """Return standard error, degrees of freedom and two-sided p, element by element.

    They are NaN where nothing varies.
    """
    conservative = is_conservative(parts)
    plain, cautious = parts.variance(conservative=False), parts.variance(conservative=True)
    variance = np.where(conservative, cautious[0], plain[0])
    df = np.where(conservative, cautious[1], plain[1])
    with np.errstate(invalid="ignore", divide="ignore"):
        se = np.where(variance > NOTHING, np.sqrt(np.maximum(variance, 0.0)), np.nan)
        return se, df, np.asarray(2 * survival(np.abs(parts.difference) / se, df))


def crossed(parts: Components) -> Estimate:
    """Test one difference over at least two seeds."""
    difference = float(parts.difference)
    se, df, _ = (float(one) for one in crossed_test(parts))
    if np.isnan(se):
        n = sum(parts.n_units)
        return Estimate(difference, None, np.inf, 1.0 if difference == 0 else 2.0 ** (1 - n), SIGN)
    notes = []
    if parts.n_seeds == 2:
        notes.append("two seeds: the conservative form, which still raises up to 9 % false alarms")
    elif bool(is_conservative(parts)):
        notes.append("the conservative form, as the variance came out negative or close to it")
    test = "crossed seeds and items, conservative" if notes else "crossed seeds and items"
    return Estimate(difference, se, df, two_sided(difference, se, df), test, tuple(notes))
