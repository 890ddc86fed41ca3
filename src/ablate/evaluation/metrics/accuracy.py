"""Measures over plain lists, all of them fractions; None where nothing was measured."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Accuracy:
    """A mean over items, with their number and its standard error.

    Attributes:
        value: Share of correct answers, or another score in 0..1; None without items.
        n: Items it was measured on.
        standard_error: Of `value`, over clusters of items; None without two clusters.
    """

    value: float | None
    n: int
    standard_error: float | None


def mean_score(scores: Sequence[float], clusters: Sequence[str]) -> Accuracy:
    """Average what items score, each in 0..1.

    The standard error is that of a mean over clusters (Miller, arXiv 2411.00640, section 2.2): with every item a
    cluster of its own it is sqrt(variance / n), sqrt(p (1 - p) / n) for a share p. It is 0 at 0 and 1, where it says
    little for small n.

    Args:
        scores: One for each item.
        clusters: What each item shares with those that it is not independent of.

    Raises:
        ValueError: If the lists differ in length.
    """
    n = len(scores)
    if n == 0:
        return Accuracy(None, 0, None)
    mean = math.fsum(scores) / n
    return Accuracy(mean, n, standard_error([score - mean for score in scores], clusters, n))


def standard_error(
    residuals: Sequence[float], clusters: Sequence[str], total: float
) -> float | None:
    """Return the standard error over clusters of a sum divided by `total`.

    Returns:
        The root of the sum of squares of the clusters' summed residuals, divided by `total`; None for one cluster, of
        which nothing is known that it could differ from.

    Raises:
        ValueError: If the lists differ in length.
    """
    members: dict[str, list[float]] = {}
    for residual, cluster in zip(residuals, clusters, strict=True):
        members.setdefault(cluster, []).append(residual)
    if len(members) < 2:
        return None
    return math.sqrt(math.fsum(math.fsum(values) ** 2 for values in members.values())) / total


def target_improvement(before: float | None, after: float | None) -> float | None:
    """Return after - before on the data that was trained on (LoRSU's TI, as a fraction).

    Chance level: 0 is an update without effect.
    """
    return None if before is None or after is None else after - before


def control_change(pairs: Sequence[tuple[float | None, float | None]]) -> float | None:
    """Average after - before over the control data sets (LoRSU's CC, as a fraction).

    Every data set counts the same whatever its size; negative is forgetting, 0 is an update
    without effect. Data sets without both values are left out.

    Args:
        pairs: (before, after) of every control data set.

    Returns:
        The mean, or None when no pair is complete.
    """
    changes = [change for pair in pairs if (change := target_improvement(*pair)) is not None]
    return math.fsum(changes) / len(changes) if changes else None


def mean_forgetting(curves: Sequence[Sequence[float | None]]) -> float | None:
    """Average how far each session has fallen from its best (Chaudhry et al., arXiv 1801.10112).

    For one session: the highest accuracy from its own training up to the last session but one,
    minus the accuracy after the last. Positive is forgetting.

    Args:
        curves: For every session but the last, its accuracy after itself, after the next, and so on.

    Returns:
        The mean over sessions, or None when nothing was measured.
    """
    drops = []
    for curve in curves:
        values = [value for value in curve if value is not None]
        if len(values) >= 2:
            drops.append(max(values[:-1]) - values[-1])
    return math.fsum(drops) / len(drops) if drops else None
