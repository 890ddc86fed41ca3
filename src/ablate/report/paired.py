"""One configuration against its baseline in one metric: the seeds and items that both have, and the test of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ablate.report.items import UnusableItemsError
from ablate.report.runs import Run
from ablate.report.terms import Term, check_sum, chosen_by_runs, terms_of
from ablate.results.columns import METRICS
from ablate.statistics.crossed import Floats, Stratum, components, crossed
from ablate.statistics.estimate import Estimate
from ablate.statistics.planning import Goal, Needed, needed, needed_seeds
from ablate.statistics.single import one_seed, over_seeds

_NO_BASE = "the baseline has no such number"
_CHOSEN = "rests on tasks that were chosen by the runs it compares"


@dataclass(frozen=True)
class Tested:
    """A comparison before the values of a metric are looked at together.

    Attributes:
        estimate: The difference; None where there is none.
        reason: Why there is no test, as the end of a sentence.
        n_items: Items of the test.
        n_clusters: Clusters of the test.
        common_seeds: Seeds of the test, where value and baseline do not have the same; else None.
        needed: What would decide it, if it is undecided.
        is_exact: Whether the metric is a count that is the same in every seed.
    """

    estimate: Estimate | None
    reason: str | None = None
    n_items: int | None = None
    n_clusters: int | None = None
    common_seeds: int | None = None
    needed: Needed | None = None
    is_exact: bool = False


def tested(
    metric: str,
    value: Mapping[int, Run],
    base: Mapping[int, Run],
    stable_tasks: pd.DataFrame,
    margin: float | None,
    n_values: int,
) -> Tested:
    """Compare two configurations over the seeds that both have.

    Args:
        metric: Column of results.csv.
        value: Runs by seed.
        base: The baseline's runs by seed.
        stable_tasks: Rows of stable_tasks.csv of the ablation.
        margin: The user's margin of equivalence, if there is one.
        n_values: Values that are compared with the baseline, this one among them.
    """
    goal = Goal(margin, n_values)
    seeds = [
        seed
        for seed in sorted(value.keys() & base.keys())
        if value[seed].numbers[metric] is not None and base[seed].numbers[metric] is not None
    ]
    if not seeds:
        measured = any(run.numbers[metric] is not None for run in base.values())
        return Tested(None, "no seed in common with the baseline" if measured else _NO_BASE)
    pairs = [(value[seed], base[seed]) for seed in seeds]
    differences = np.array([float(v.numbers[metric]) - float(b.numbers[metric]) for v, b in pairs])  # type: ignore[arg-type]
    if not METRICS[metric].has_items:
        found = _of_seeds(metric, differences, goal)
    else:
        try:
            strata = _strata(metric, pairs, stable_tasks)
            found = _of_items(strata, goal)
        except UnusableItemsError as error:
            mean = Estimate(float(differences.mean()), None, np.inf, None, "none")
            found = Tested(mean, str(error))
    notes, common_seeds = [], None
    if len(seeds) < max(len(value), len(base)):
        common_seeds = len(seeds)
        those = f"{common_seeds} seeds" if common_seeds > 1 else "one seed"
        notes.append(f"over the {those} that both have")
    if chosen_by_runs(metric, stable_tasks):
        notes.append(_CHOSEN)
    if found.estimate is None or not notes:
        return found
    return replace(found, estimate=found.estimate.noted(*notes), common_seeds=common_seeds)


def _of_seeds(metric: str, differences: Floats, goal: Goal) -> Tested:
    estimate = over_seeds(differences)
    if estimate.se is not None:
        seeds = needed_seeds(differences, goal)
        return Tested(estimate, needed=Needed(seeds, None))
    is_exact = METRICS[metric].is_exact and not np.ptp(differences)
    return Tested(estimate, None if is_exact else estimate.test, is_exact=is_exact)


def _of_items(strata: Sequence[Stratum], goal: Goal) -> Tested:
    n_items = sum(len(stratum.clusters) for stratum in strata)
    n_clusters = sum(int(stratum.clusters.max()) + 1 for stratum in strata)
    n_seeds = strata[0].differences.shape[0]
    if n_seeds == 1:
        estimate = one_seed(strata)
        return Tested(
            estimate, None if estimate.p is not None else estimate.test, n_items, n_clusters
        )
    if any(int(stratum.clusters.max()) < 1 for stratum in strata):
        raise UnusableItemsError("a task has a single item")
    parts = components(strata)
    estimate = crossed(parts)
    sizes = None if estimate.se is None else needed(parts, n_items, goal)
    return Tested(estimate, None, n_items, n_clusters, needed=sizes)


def _strata(
    metric: str, pairs: Sequence[tuple[Run, Run]], stable_tasks: pd.DataFrame
) -> list[Stratum]:
    """Return the paired differences of every task behind a metric.

    Raises:
        UnusableItemsError: If value and baseline, or two seeds, do not rest on the same items.
    """
    terms = terms_of(metric, pairs[0][0].record, stable_tasks)
    for run in (run for pair in pairs for run in pair):
        if terms_of(metric, run.record, stable_tasks) != terms:
            raise UnusableItemsError("the runs do not rest on the same tasks")
        check_sum(terms, run.scores(), float(run.numbers[metric] or 0.0))
    return [_stratum(term, pairs) for term in terms]


def _stratum(term: Term, pairs: Sequence[tuple[Run, Run]]) -> Stratum:
    first = pairs[0][1].scores()[term.task, term.metric]
    values, bases = (
        np.stack(
            [
                term.of(run.scores()[term.task, term.metric].ordered_like(first))
                for run in (pair[side] for pair in pairs)
            ]
        )
        for side in (0, 1)
    )
    return Stratum(values - bases, first.clusters(), term.weight)
