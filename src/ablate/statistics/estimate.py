"""What a test says of one difference: its interval, its p, what it could have shown."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ablate.statistics.student import quantile, survival

ALPHA = 0.05
POWER = 0.8


@dataclass(frozen=True)
class Estimate:
    """A difference and how well it is known.

    Attributes:
        difference: The difference.
        se: Its standard error; None where nothing varied, so that there is none.
        df: Degrees of freedom of t; infinite for a normal distribution.
        p: Two-sided p of no difference; None where there is none.
        test: Name of the test.
        notes: What weakens it, one sentence each.
    """

    difference: float
    se: float | None
    df: float
    p: float | None
    test: str
    notes: tuple[str, ...] = ()

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the difference."""
        if self.se is None:
            return None
        half = float(quantile(1 - ALPHA / 2, self.df)) * self.se
        return self.difference - half, self.difference + half

    @property
    def smallest_shown(self) -> float | None:
        """The smallest difference that could have been shown, with power 0.8: (t_0.975 + t_0.8) se."""
        return None if self.se is None else float(shown_multiple(self.df)) * self.se

    def p_equivalent(self, margin: float) -> float | None:
        """Return the larger p of two one-sided tests: that the difference is below -margin, or above margin.

        Args:
            margin: Largest difference that counts as none, not negative.
        """
        if self.se is None:
            return None
        below = survival((self.difference + margin) / self.se, self.df)
        above = survival((margin - self.difference) / self.se, self.df)
        return float(max(below, above))

    def noted(self, *notes: str) -> "Estimate":
        """Return the same with more notes."""
        return replace(self, notes=(*self.notes, *notes))


def shown_multiple(df: float) -> float:
    """Return how many standard errors a difference needs to be shown at 0.05 with power 0.8."""
    return float(quantile(1 - ALPHA / 2, df) + quantile(POWER, df))


def two_sided(difference: float, se: float, df: float) -> float:
    """Return the p of t = difference / se."""
    return float(2 * survival(abs(difference) / se, df))


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p values for their number by Holm's method, in the given order.

    statsmodels' `multipletests` gives the same, and collects garbage at every call: 0.1 s beside a model.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(steps, 1.0)
    return [float(one) for one in corrected]
