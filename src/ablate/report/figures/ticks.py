"""Axes of measured quantities."""

from matplotlib.axes import Axes

from ablate.report.figures.style import name_ticks, number_ticks
from ablate.report.figures.words import amount, digits_of_step, show

# An interval may reach beyond what a fraction can be; the axis does not.
_FRACTION_LIMITS = (-0.02, 1.02)
_WIDE_RATIO = 10


def metric_ticks(axes: Axes, which: str, metric: str, most: int = 6) -> None:
    """Write a metric's numbers at an axis, as finely as its ticks are apart.

    Args:
        axes: The axes; what is drawn in them is there by now.
        which: `x` or `y`.
        metric: Column of results.csv.
        most: The most ticks.
    """
    if metric.startswith("accuracy"):
        get, put = (
            (axes.get_xlim, axes.set_xlim) if which == "x" else (axes.get_ylim, axes.set_ylim)
        )
        low, high = get()
        put(max(low, _FRACTION_LIMITS[0]), min(high, _FRACTION_LIMITS[1]))
    number_ticks(
        axes, which, lambda value, step: show(metric, value, digits_of_step(step), step), most
    )


def cost_ticks(axes: Axes, metric: str, low: float, high: float) -> None:
    """Write an amount along the horizontal axis, logarithmically where it spans more than a decade.

    Args:
        axes: The axes; what is drawn in them is there by now.
        metric: Column of results.csv.
        low: The smallest amount.
        high: The largest.
    """
    if low <= 0 or high / low < _WIDE_RATIO:
        number_ticks(axes, "x", lambda value, step: show(metric, value, step=step), 5)
        return
    axes.set_xscale("log")
    left, right = axes.get_xlim()
    places = [m * 10.0**e for e in range(-3, 16) for m in ((1, 3) if high / low < 300 else (1,))]
    places = [place for place in places if left <= place <= right]
    shown = [
        amount(place) if metric.endswith("_parameters") else show(metric, place) for place in places
    ]
    name_ticks(axes, "x", places, shown)
    axes.set_xlim(left, right)
