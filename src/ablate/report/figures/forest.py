"""A forest plot: the difference in every task, each with its interval."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from ablate.report.figures.style import (
    CYCLE,
    MARKERS,
    QUIET,
    column_figure,
    footnote,
    name_ticks,
    number_ticks,
    short,
)
from ablate.report.figures.task_differences import TaskDifference
from ablate.report.figures.words import digits_of_step, signed

_MOST_ROWS = 40
# An interval from two seeds may be so wide that nothing else could be read.
_WIDEST = 3.0


def draw_forest(
    differences: Sequence[TaskDifference], n_left_out: int, against: str
) -> Figure | None:
    """Draw one row for each task and metric, the configurations below each other within it.

    Args:
        differences: What `task_differences` returned.
        n_left_out: Configurations that are not among them.
        against: What was compared with, in words.

    Returns:
        None where there is nothing to show, or more than fits.
    """
    tasks = list(dict.fromkeys((one.task, one.metric) for one in differences))
    names = list(dict.fromkeys(one.name for one in differences))
    n_rows = len(tasks) * len(names)
    if not differences or len(tasks) > _MOST_ROWS:
        return None
    row_inches = max(0.24, 0.09 * len(names))
    figure, axes = column_figure(0.9 + row_inches * len(tasks) + 0.13 * ((len(names) + 2) // 3))
    axes.axvline(0, color=QUIET, linewidth=0.8, linestyle=(0, (4, 3)))
    band = 0.7 / len(names)
    size = 18 if n_rows <= 30 else 9
    for number, name in enumerate(names):
        own = [one for one in differences if one.name == name]
        rows = [
            tasks.index((one.task, one.metric)) + (number - (len(names) - 1) / 2) * band
            for one in own
        ]
        for row, one in zip(rows, own, strict=True):
            if one.low is not None and one.high is not None:
                axes.hlines(row, one.low, one.high, color=CYCLE[number], linewidth=1)
            axes.scatter(
                one.by_seed,
                [row] * len(one.by_seed),
                s=size / 3,
                facecolors="white",
                edgecolors=CYCLE[number],
                linewidths=0.5,
                zorder=3,
            )
        axes.scatter(
            [one.difference for one in own],
            rows,
            s=size,
            marker=MARKERS[number],
            color=CYCLE[number],
            zorder=4,
            label=short(name, 16),
        )
    name_ticks(axes, "y", range(len(tasks)), [_task_words(*one, tasks) for one in tasks])
    axes.set_ylim(len(tasks) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(f"difference to {short(against, 22)}")
    left, right, is_cut = limits(differences)
    axes.set_xlim(left, right)
    number_ticks(axes, "x", lambda value, step: signed(value, digits_of_step(step)), 4)
    if len(names) > 1:
        figure.legend(
            loc="outside upper left",
            ncols=2 if max(map(len, names)) > 9 else 3,
            handletextpad=0.1,
            columnspacing=0.8,
            borderaxespad=0.2,
        )
    cut = ["bars that reach the edge go on beyond it"] if is_cut else []
    rest = f"the first {len(names)} configurations; {n_left_out} more are not shown"
    footnote(
        figure,
        *([rest] if n_left_out else []),
        "bars: 95 % interval, not corrected for the number of tasks",
        "; ".join(["small rings: single seeds", *cut]),
    )
    return figure


def limits(differences: Sequence[TaskDifference]) -> tuple[float, float, bool]:
    """Return the ends of an axis that keeps the means apart, and whether an interval goes on beyond them."""
    seeds = [difference for one in differences for difference in (*one.by_seed, 0.0)]
    ends = [end for one in differences for end in (one.low, one.high) if end is not None]
    low, high = min(seeds), max(seeds)
    room = (high - low or 0.01) * (_WIDEST - 1) / 2
    left, right = (
        max(min([low, *ends]), low - room, -1.0),
        min(max([high, *ends]), high + room, 1.0),
    )
    pad = 0.04 * (right - left)
    is_cut = bool(ends) and (min(ends) < left or max(ends) > right)
    return left - pad, right + pad, is_cut


def _task_words(task: str, metric: str, tasks: Sequence[tuple[str, str]]) -> str:
    """Name a task, with its metric below it where it has several."""
    has_several = sum(name == task for name, _ in tasks) > 1
    return (
        f"{short(task, 22)}\n{short(metric.replace('_', ' '), 22)}"
        if has_several
        else short(task, 22)
    )
