"""Evaluates a run's tasks one after the other, with one bar, from what is known where it can."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ablate.config.schema import EvalConfig
from ablate.evaluation.cache import AnswerCache
from ablate.evaluation.kept import KeptAnswers
from ablate.evaluation.progress import Progress
from ablate.evaluation.task import Answers, Task
from ablate.models.vlm import VisionLanguageModel
from ablate.telemetry.cost import Stopwatch
from ablate.telemetry.interruption import SafePoints
from ablate.telemetry.memory import does_not_fit, is_out_of_memory, release
from ablate.telemetry.progress import stage_bar

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Weights:
    """What a task's answers depend on besides the task.

    Attributes:
        digest: Hash of the weights, and of the prompt.
        is_base: Whether no run has trained them, so that other runs may use the answers.
    """

    digest: str
    is_base: bool


class Evaluator:
    """A run's model, put to tasks; what it costs is counted as `eval`.

    Attributes:
        config: How: items per forward pass, or as many of them as memory suffices for; longest answer.
    """

    def __init__(
        self,
        vlm: VisionLanguageModel,
        config: EvalConfig,
        cache: AnswerCache,
        kept: KeptAnswers,
        watch: Stopwatch,
        safe_points: SafePoints,
    ) -> None:
        """Evaluate a model.

        Args:
            vlm: The model; it is evaluated as it is at the moment of the call.
            config: How.
            cache: Where answers of base weights are kept for other runs.
            kept: Where answers are kept for the next process, should this one be interrupted.
            watch: Adds up the seconds of `eval`.
            safe_points: When they are kept.
        """
        self.config = config
        self._vlm, self._cache, self._kept = vlm, cache, kept
        self._watch, self._safe_points = watch, safe_points

    def answers(
        self, label: str, tasks: Sequence[Task], weights_of: Callable[[Task], Weights]
    ) -> list[Answers]:
        """Return the model's answers to every task.

        Args:
            label: What the bar says.
            tasks: The tasks.
            weights_of: What each task's answers depend on.

        Raises:
            DoesNotFitError: If one item does not fit into memory.
        """
        n_items = sum(task.n for task in tasks)
        with (
            self._watch.stage("eval"),
            self._cache.compute.autocast(),
            stage_bar(label, n_items, "item") as advance,
            self._safe_points.saving(self._keep) as reached,
        ):
            try:
                return [self._answers(task, weights_of(task), advance, reached) for task in tasks]
            except Exception:  # whatever it is, what is answered need not be answered again
                self._keep()
                raise

    def _answers(
        self,
        task: Task,
        weights: Weights,
        advance: Callable[[int], None],
        reached: Callable[[], None],
    ) -> Answers:
        key = self._cache.key(task, weights.digest, self.config)
        known = self._cache.find(key, task) if weights.is_base else None
        if known is not None:
            advance(task.n)
            return known
        progress = Progress(self._kept.of(key), advance, reached)
        advance(progress.n)
        try:
            if progress.n < task.n:
                task.evaluate(self._vlm, self.config, progress)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            said = str(error)
        else:
            answers = progress.answers()
            if weights.is_base:
                self._cache.add(key, answers)
            return answers
        # Outside the block above: the error holds on to the activations.
        release(self._cache.compute.device)
        self._halve(task, said)
        advance(-progress.n)
        return self._answers(task, weights, advance, reached)

    def _halve(self, task: Task, said: str) -> None:
        """Evaluate with half as many items in a pass from here on; all answers to a task are of one size."""
        size = min(self.config.batch_size, task.n)
        if size == 1:
            compute = self._cache.compute
            narrower = ["precision=bf16"] if compute.is_wide_on_gpu else []
            raise does_not_fit(
                f"one item of task '{task.name}'",
                said,
                compute.device,
                [*narrower, "a smaller or quantised model", "an encoder of smaller images"],
            )
        log.warning("out of memory with %d items in a pass: %d now (%s)", size, size // 2, said)
        self.config = replace(self.config, batch_size=size // 2)

    def _keep(self) -> None:
        self._kept.write(self._watch.so_far("eval"))
