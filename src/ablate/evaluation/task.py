"""The one protocol of evaluation: a task has items, a model answers them, each metric is a mean over them."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import pandas as pd

from ablate.config.schema import EvalConfig
from ablate.data.contents import Contents
from ablate.evaluation.metrics.accuracy import Accuracy, mean_score
from ablate.evaluation.progress import Progress
from ablate.models.vlm import VisionLanguageModel
from ablate.results.items import ItemResult, items_table
from ablate.results.record import TaskResult

Kind = Literal["target", "control", "vision", "text"]


@dataclass(frozen=True)
class Metric:
    """One number that a task gives.

    Attributes:
        name: Its name in the tables.
        chance: What guessing scores; None where guessing means nothing.
    """

    name: str
    chance: float | None


# What a model made of every item of a task, by the name of the metric.
Answers = Mapping[str, Sequence[ItemResult]]


class Task(ABC):
    """Items that a model can be evaluated on; images are decoded batch by batch while it is.

    Attributes:
        name: Name in the tables.
        kind: What it is for: the data that were trained on, a control, or a stable score.
        metrics: Its numbers, at least one.
        n: Number of items.
        fingerprint: Hash of what determines its items and how they are put and scored, wherever they are stored.
    """

    name: str
    kind: Kind
    metrics: tuple[Metric, ...]
    n: int
    fingerprint: str

    @abstractmethod
    def evaluate(self, vlm: VisionLanguageModel, config: EvalConfig, progress: Progress) -> None:
        """Put every item that is not answered yet to a model, in an order that is always the same.

        Args:
            vlm: The model; its training mode is put back afterwards.
            config: Items per forward pass, longest answer.
            progress: Takes the results of every batch, for each of `metrics`; holds those of the items before.
        """

    def sample(self, rows: Sequence[int]) -> "Task":
        """Return some of the items with blank images: what answering takes can be seen without decoding any.

        Args:
            rows: At least one position among the items, ascending.

        Raises:
            NotImplementedError: If the task cannot say.
        """
        raise NotImplementedError(f"a {type(self).__name__} gives no sample of its {self.n} items")

    def contents(self) -> Contents | None:
        """Return what its items are known by, in their order; None for items that no run is trained on.

        A run whose training items are among them is refused.
        """
        return None

    def merged(self, items: Sequence[ItemResult]) -> Sequence[ItemResult]:
        """Return the items that are scored, from those that were answered: the same, unless several make one."""
        return items

    def score(self, metric: str, items: Sequence[ItemResult]) -> Accuracy:
        """Return a metric over answered items: the mean of what they score."""
        del metric
        return mean_score([item.score for item in items], [item.cluster for item in items])


@dataclass(frozen=True)
class Evaluation:
    """What a model scored on a task.

    Attributes:
        rows: One row of tasks.csv for each metric.
        items: One table of items for each metric.
    """

    rows: tuple[TaskResult, ...]
    items: tuple[pd.DataFrame, ...]


def evaluation_of(task: Task, after: Answers, before: Answers | None = None) -> Evaluation:
    """Sum up a task, and join it with what the base model answered, by item.

    Args:
        task: The task.
        after: What the trained model answered.
        before: What the base model answered; None where it was not evaluated.
    """
    rows, tables = [], []
    for metric in task.metrics:
        items = task.merged(after[metric.name])
        earlier = None if before is None else task.merged(before[metric.name])
        row = _row(task, metric, items)
        if earlier is not None:
            row = replace(row, value_before=task.score(metric.name, earlier).value)
        rows.append(row)
        tables.append(items_table(task.name, task.kind, metric.name, items, earlier))
    return Evaluation(tuple(rows), tuple(tables))


def _row(task: Task, metric: Metric, items: Sequence[ItemResult]) -> TaskResult:
    measured = task.score(metric.name, items)
    return TaskResult(
        task=task.name,
        kind=task.kind,
        metric=metric.name,
        value=measured.value,
        value_before=None,
        chance=metric.chance,
        n=measured.n,
        stderr=measured.standard_error,
    )


def fingerprint_of(*parts: object) -> str:
    """Hash plain values: equal values give equal hashes on every machine."""
    content = json.dumps(parts, ensure_ascii=False, sort_keys=True, default=str)
    return hashlib.sha256(content.encode()).hexdigest()
