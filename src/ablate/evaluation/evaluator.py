"""Evaluates a run's tasks one after the other, with one bar, from the cache where it can."""

from collections.abc import Callable, Sequence

from ablate.evaluation.cache import AnswerCache
from ablate.evaluation.task import Answers, Task
from ablate.models.vlm import VisionLanguageModel
from ablate.telemetry.cost import Stopwatch
from ablate.telemetry.progress import stage_bar


class Evaluator:
    """A run's model, put to tasks; what it costs is counted as `eval`."""

    def __init__(self, vlm: VisionLanguageModel, cache: AnswerCache, watch: Stopwatch) -> None:
        """Evaluate a model.

        Args:
            vlm: The model; it is evaluated as it is at the moment of the call.
            cache: Where answers of weights that have a hash are kept.
            watch: Adds up the seconds of `eval`.
        """
        self._vlm, self._cache, self._watch = vlm, cache, watch

    def answers(
        self, label: str, tasks: Sequence[Task], weights_of: Callable[[Task], str | None]
    ) -> list[Answers]:
        """Return the model's answers to every task.

        Args:
            label: What the bar says.
            tasks: The tasks.
            weights_of: Hash of the weights that a task's answers depend on; None where a run has trained them, and
                no other run could use its answers.
        """
        found = []
        n_items = sum(task.n for task in tasks)
        with (
            self._watch.stage("eval"),
            self._cache.compute.autocast(),
            stage_bar(label, n_items, "item") as advance,
        ):
            for task in tasks:
                weights = weights_of(task)
                if weights is None:
                    found.append(task.evaluate(self._vlm, self._cache.config, advance))
                else:
                    found.append(self._cache.answers(task, weights, self._vlm, advance))
        return found
