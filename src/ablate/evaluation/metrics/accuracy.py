"""Measures over plain lists, all of them fractions; None where nothing was measured."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Accuracy:
    """A share of correct answers, with its number of items and standard error.

    Attributes:
        value: Share of correct answers in 0..1; None without items.
        n: Items it was measured on.
        standard_error: Of `value`; None without items.
    """

    value: float | None
    n: int
    standard_error: float | None


def accuracy(predictions: Sequence[object], answers: Sequence[object]) -> Accuracy:
    """Count correct predictions; an item without a prediction (None) is wrong.

    Chance level: 1 / options for multiple choice, 1 / classes for classification.

    Raises:
        ValueError: If the lists differ in length.
    """
    n = len(answers)
    correct = sum(p == a for p, a in zip(predictions, answers, strict=True))
    if n == 0:
        return Accuracy(None, 0, None)
    return Accuracy(correct / n, n, standard_error(correct / n, n))


def standard_error(fraction: float, n: int) -> float | None:
    """Return the binomial standard error sqrt(p (1 - p) / n) of a share `p` of `n` items.

    It is 0 at p = 0 and p = 1, where it says little for small n.
    """
    return math.sqrt(fraction * (1 - fraction) / n) if n else None


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
