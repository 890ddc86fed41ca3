"""Which items stand behind a metric: every metric that has items is a weighted sum of means over tasks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from ablate.report.items import Scores, UnusableItemsError
from ablate.results.columns import METRICS
from ablate.results.record import RunRecord, TaskResult
from ablate.statistics.crossed import Floats

# The headline numbers are of multiple choice through the whole model.
_HEADLINE = "accuracy"
_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Term:
    """One task's share in a metric: weight times (mean of a quantity of its items - offset).

    Attributes:
        task: Name of the task.
        metric: Metric of the task.
        weight: What the mean is multiplied by.
        quantity: The score after adaptation, before it, or the change.
        offset: Chance, where the score is centred.
    """

    task: str
    metric: str
    weight: float
    quantity: Literal["after", "before", "change"]
    offset: float = 0.0

    def of(self, scores: Scores) -> Floats:
        """Return the quantity of every item."""
        if self.quantity == "after":
            return scores.after
        return scores.before if self.quantity == "before" else scores.after - scores.before


def terms_of(metric: str, record: RunRecord, stable_tasks: pd.DataFrame) -> tuple[Term, ...]:
    """Say how one run's number comes from its items.

    Args:
        metric: A column that has items.
        record: The run.
        stable_tasks: Rows of stable_tasks.csv.
    """
    if metric.endswith("_stable_score"):
        return _stable(metric.removesuffix("_stable_score"), record, stable_tasks)
    own = [task for task in record.tasks if task.metric == _HEADLINE]
    if metric == "control_change":
        controls = [task for task in own if task.kind == "control" and _has_both(task)]
        return tuple(Term(t.task, t.metric, 1 / len(controls), "change") for t in controls)
    quantity: Literal["after", "before", "change"] = (
        "after" if metric == "accuracy" else "before" if metric == "accuracy_before" else "change"
    )
    return tuple(Term(t.task, t.metric, 1.0, quantity) for t in own if t.kind == "target")


def check_sum(
    terms: Sequence[Term], scores: Mapping[tuple[str, str], Scores], column: float
) -> None:
    """Compare what the items add up to with the column that the table shows.

    Raises:
        UnusableItemsError: If a task has no items, or they do not add up.
    """
    if not terms:
        raise UnusableItemsError("the record names no task behind it")
    total = 0.0
    for term in terms:
        found = scores.get((term.task, term.metric))
        if found is None:
            raise UnusableItemsError(f"task '{term.task}' has no items")
        total += term.weight * (float(np.mean(term.of(found))) - term.offset)
    if not abs(total - column) <= _TOLERANCE:
        raise UnusableItemsError(f"the items add up to {total:.6f}, not to the run's {column:.6f}")


def items_behind(metric: str, record: RunRecord, stable_tasks: pd.DataFrame) -> int | None:
    """Count the items behind a run's number, as its record says; None for a metric without items."""
    if not METRICS[metric].has_items:
        return None
    sizes = {(task.task, task.metric): task.n for task in record.tasks}
    terms = terms_of(metric, record, stable_tasks)
    return sum(sizes[term.task, term.metric] for term in terms) or None


def chosen_by_runs(metric: str, stable_tasks: pd.DataFrame) -> bool:
    """Tell whether a score rests on tasks that were chosen by the runs that it compares."""
    kind = metric.removesuffix("_stable_score")
    rows = stable_tasks[stable_tasks["kind"] == kind]
    return metric != kind and bool((rows["choice"] == "auto").any())


def _stable(kind: str, record: RunRecord, stable_tasks: pd.DataFrame) -> tuple[Term, ...]:
    """Return the terms of a stable score: (mean - chance) / (1 - chance) over the tasks, each the same."""
    if record.suite is None:
        return ()
    rows = stable_tasks[
        (stable_tasks["kind"] == kind)
        & (stable_tasks["suite"] == record.suite.name)
        & stable_tasks["stable"].astype(bool)
    ]
    names = list(dict.fromkeys(rows["task"]))
    tasks = {task.task: task for task in record.tasks if task.kind == kind}
    found = [tasks[name] for name in names if name in tasks]
    return tuple(
        Term(t.task, t.metric, 1 / (len(names) * (1 - t.chance)), "after", t.chance)
        for t in found
        if t.chance is not None and t.chance < 1
    )


def _has_both(task: TaskResult) -> bool:
    return task.value is not None and task.value_before is not None
