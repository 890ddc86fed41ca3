"""What every task is to the rest of ablate: items that a model is asked, and one number."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from ablate.config.schema import EvalConfig
from ablate.evaluation.metrics import Accuracy
from ablate.evaluation.open_answers import mean_score
from ablate.models.vlm import VisionLanguageModel
from ablate.results.items import ItemResult
from ablate.results.record import TaskResult


@dataclass(frozen=True)
class TaskOutcome:
    """A model's result on a task.

    Attributes:
        result: The row of tasks.csv; `value_before` is left empty.
        items: What became of every item.
    """

    result: TaskResult
    items: tuple[ItemResult, ...]


class Task(ABC):
    """A task that is ready to be asked.

    Attributes:
        name: Name in the tables.
        kind: Whether it needs an image.
        metric: Name of the metric.
        chance: What guessing scores.
        n: Number of items.
        fingerprint: Hash of what determines its items and how they are asked and judged, wherever they lie.
    """

    name: str
    kind: Literal["vision", "text"]
    metric: str
    chance: float
    n: int
    fingerprint: str

    @abstractmethod
    def ask(
        self,
        vlm: VisionLanguageModel,
        evaluation: EvalConfig,
        on_item: Callable[[int], None],
    ) -> TaskOutcome:
        """Ask a model everything.

        Args:
            vlm: The model; its training mode is put back afterwards.
            evaluation: Items per forward pass.
            on_item: Called with the number of items answered since the last call; all calls
                together come to `n`.
        """

    def outcome(
        self,
        items: Sequence[ItemResult],
        measured: Accuracy | None = None,
    ) -> TaskOutcome:
        """Sum up answered items.

        Args:
            items: All of them.
            measured: The metric; None for the mean of what the items score.
        """
        if measured is None:
            measured = mean_score([item.score for item in items])
        result = TaskResult(
            task=self.name,
            kind=self.kind,
            metric=self.metric,
            value=measured.value,
            value_before=None,
            chance=self.chance,
            n=measured.n,
            stderr=measured.standard_error,
        )
        return TaskOutcome(result, tuple(items))


def fingerprint_of(*parts: object) -> str:
    """Hash plain values: equal values give equal hashes on every machine."""
    content = json.dumps(parts, ensure_ascii=False, sort_keys=True, default=str)
    return hashlib.sha256(content.encode()).hexdigest()
