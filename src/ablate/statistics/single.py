"""What one source of randomness alone can say: one seed's items, or seeds without items."""

import math
from collections.abc import Sequence

import numpy as np

from ablate.statistics.crossed import NOTHING, SIGN, Floats, Stratum
from ablate.statistics.estimate import Estimate, two_sided

SEED_NOISE_UNKNOWN = "one seed: seed noise unknown"
# Below this many items that changed, the exact binomial test takes the place of the chi-square.
_FEW = 25


def one_seed(strata: Sequence[Stratum]) -> Estimate:
    """Test the differences of a single seed: McNemar where items are right or wrong, else t over items.

    Args:
        strata: The tasks, with differences `[1, items]`.
    """
    first = strata[0]
    differences = first.differences[0]
    independent = int(first.clusters.max()) + 1 == len(first.clusters)
    is_binary = bool(np.isin(differences, (-1.0, 0.0, 1.0)).all())
    if len(strata) == 1 and first.weight == 1 and independent and is_binary:
        return mcnemar(int((differences > 0).sum()), int((differences < 0).sum()), len(differences))
    return _over_items(strata)


def mcnemar(better: int, worse: int, n: int) -> Estimate:
    """Test paired items by those that changed; exact where they are few.

    The interval is that of Agresti and Min (2005): half an item is added to each of the four cells.

    Args:
        better: Items that only the value has right.
        worse: Items that only the baseline has right.
        n: All items.
    """
    from statsmodels.stats.contingency_tables import mcnemar as test

    exact = better + worse < _FEW
    p = float(test([[0, better], [worse, 0]], exact=exact, correction=True).pvalue)
    gain, loss, total = better + 0.5, worse + 0.5, n + 2
    se = math.sqrt(gain + loss - (gain - loss) ** 2 / total) / total
    name = "McNemar, exact" if exact else "McNemar"
    return Estimate((better - worse) / n, se, math.inf, min(p, 1.0), name, (SEED_NOISE_UNKNOWN,))


def _over_items(strata: Sequence[Stratum]) -> Estimate:
    """Test the mean over items by t, with Welch's degrees of freedom where there are several tasks."""
    difference, variances, squares = 0.0, [], 0.0
    for stratum in strata:
        units = stratum.units[0]
        n = len(units)
        difference += stratum.weight * float(units.mean())
        if n < 2:
            return Estimate(difference, None, math.inf, None, "one item", (SEED_NOISE_UNKNOWN,))
        variances.append(stratum.weight**2 * float(units.var(ddof=1)) / n)
        squares += variances[-1] ** 2 / (n - 1)
    variance = math.fsum(variances)
    notes = (SEED_NOISE_UNKNOWN,)
    if variance <= NOTHING:
        n = sum(stratum.units.shape[-1] for stratum in strata)
        p = 1.0 if difference == 0 else 2.0 ** (1 - n)
        return Estimate(difference, None, math.inf, p, SIGN, notes)
    se, df = math.sqrt(variance), variance**2 / squares
    return Estimate(difference, se, df, two_sided(difference, se, df), "t over items", notes)


def over_seeds(differences: Floats) -> Estimate:
    """Test the differences of a number that has no items, one for each seed, by a paired t-test.

    Args:
        differences: Value minus baseline, `[seeds]`.
    """
    mean = float(differences.mean())
    n = len(differences)
    if n < 2:
        return Estimate(mean, None, math.inf, None, "one seed", (SEED_NOISE_UNKNOWN,))
    scale = max(float(np.abs(differences).max()), np.finfo(float).tiny)
    if float(np.ptp(differences)) <= 1e-12 * scale:
        return Estimate(mean, None, math.inf, None, "every seed gives the same difference")
    se = float(differences.std(ddof=1)) / math.sqrt(n)
    return Estimate(mean, se, n - 1, two_sided(mean, se, n - 1), "paired t over seeds")
