"""Differences by task: each configuration beside its baseline, by the test of the verdict."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from ablate.report.figures.series import by_settings, names_of
from ablate.report.figures.style import CYCLE
from ablate.report.items import Scores, UnusableItemsError, read_scores
from ablate.report.loaded import Loaded
from ablate.report.verdict import AblationReport, Configuration
from ablate.results.record import RunRecord
from ablate.statistics.crossed import Floats, Stratum, components, crossed
from ablate.statistics.single import one_seed

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
