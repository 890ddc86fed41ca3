"""Differences by task, each with its interval: a forest plot."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from ablate.report.figures.series import by_settings, names_of
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
from ablate.report.figures.words import digits_of_step, signed
from ablate.report.items import Scores, UnusableItemsError, read_scores
from ablate.report.loaded import Loaded
from ablate.report.verdict import AblationReport, Configuration
from ablate.results.record import RunRecord
from ablate.statistics.crossed import Floats, Stratum, components, crossed
from ablate.statistics.single import one_seed

_MOST_ROWS = 40
# An interval from two seeds may be so wide that nothing else could be read.
_WIDEST = 3.0
Tasks = Mapping[tuple[str, str], Scores]


@dataclass(frozen=True)
class TaskDifference:
    """How a configuration differs from its baseline, or from the base model, in one task.

    Attributes:
        configuration: The configuration.
        name: What it is called.
        task: Name of the task.
        kind: What the task is for.
        metric: Name of the metric.
        difference: Mean difference over seeds and items.
        low: Lower end of its 95 % interval, not corrected for the number of tasks; None where there is none.
        high: Upper end.
        by_seed: The difference of every seed.
        n_items: Items that every seed has.
    """

    configuration: Configuration
    name: str
    task: str
    kind: str
    metric: str
    difference: float
    low: float | None
    high: float | None
    by_seed: tuple[float, ...]
    n_items: int


def task_differences(ablation: AblationReport, loaded: Loaded) -> tuple[list[TaskDifference], int]:
    """Compare every configuration with its baseline task by task, by the test of the verdict.

    Where an ablation has no baseline, with the base model that the runs started from. Runs whose items are
    missing, damaged or others are left out.

    Args:
        ablation: Whose configurations.
        loaded: Where the runs are.

    Returns:
        The differences of as many configurations as have a colour of their own, and how many are left out.
    """
    records = {str(record.row["run_id"]): record for record in loaded.records}
    names = names_of(ablation)
    differences: list[TaskDifference] = []
    shown: list[Configuration] = []
    n_left_out = 0
    for configurations in by_settings(ablation):
        base = next((one for one in configurations if one.is_baseline), None)
        base_runs = None if base is None else dict(_scores_by_seed(base, loaded, records))
        for one in configurations:
            if one is base:
                continue
            if len(shown) == len(CYCLE):
                n_left_out += 1
            else:
                shown.append(one)
                name = names[one.run_ids]
                runs = dict(_scores_by_seed(one, loaded, records, base_runs))
                differences += _by_task(one, name, runs, base_runs, records[one.run_ids[0]])
    return differences, n_left_out


def _scores_by_seed(
    configuration: Configuration,
    loaded: Loaded,
    records: Mapping[str, RunRecord],
    wanted: Collection[int] | None = None,
) -> Iterator[tuple[int, Tasks]]:
    for run_id, seed in zip(configuration.run_ids, configuration.seeds, strict=True):
        if wanted is None or seed in wanted:
            try:
                yield seed, read_scores(loaded.items_of(run_id), records[run_id])
            except UnusableItemsError:
                continue


def _by_task(
    configuration: Configuration,
    name: str,
    runs: Mapping[int, Tasks],
    base_runs: Mapping[int, Tasks] | None,
    record: RunRecord,
) -> Iterator[TaskDifference]:
    """Yield one row for each of a configuration's tasks and metrics."""
    for about in record.tasks:
        key = about.task, about.metric
        found = [
            (tasks[key], None if base_runs is None else base_runs[seed][key])
            for seed, tasks in runs.items()
            if key in tasks and (base_runs is None or key in base_runs[seed])
        ]
        differences = [
            difference
            for pair in found
            if (difference := _difference(*pair, found[0][0])) is not None
        ]
        if not differences:
            continue
        stratum = Stratum(np.stack(differences), found[0][0].clusters())
        interval = None
        if stratum.clusters.max() > 0:
            test = one_seed([stratum]) if len(differences) == 1 else crossed(components([stratum]))
            interval = test.interval
        by_seed = stratum.differences.mean(axis=1)
        yield TaskDifference(
            configuration,
            name,
            about.task,
            about.kind,
            about.metric,
            float(by_seed.mean()),
            None if interval is None else interval[0],
            None if interval is None else interval[1],
            tuple(float(mean) for mean in by_seed),
            len(stratum.clusters),
        )


def _difference(own: Scores, base: Scores | None, first: Scores) -> Floats | None:
    """Return what each item gained over the baseline or the base model; None where they cannot be paired."""
    try:
        own = own.ordered_like(first)
        difference = own.after - (own.before if base is None else base.ordered_like(first).after)
    except UnusableItemsError:
        return None
    return difference if len(difference) and np.isfinite(difference).all() else None


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
