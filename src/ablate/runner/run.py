"""One run's numbers: evaluate the base model, train it stage by stage, evaluate it again."""

import logging
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pandas as pd
from torch import Tensor

from ablate.config.schema import InstructionDataConfig
from ablate.evaluation.cache import AnswerCache
from ablate.evaluation.evaluator import Evaluator, Weights
from ablate.evaluation.kept import KeptAnswers
from ablate.evaluation.metrics.accuracy import control_change, target_improvement
from ablate.evaluation.sessions import forgetting, session_results
from ablate.evaluation.task import Answers, Task, evaluation_of, fingerprint_of
from ablate.evaluation.tasks.classification import VQA, ClassificationTask
from ablate.models.compute import Compute
from ablate.models.held import borrowed
from ablate.models.saving import save_model
from ablate.recipes.build import stages_of
from ablate.recipes.restore import replay
from ablate.results.checkpoint import Checkpoint
from ablate.results.record import SessionResult, TaskResult
from ablate.results.tensors import tensors_digest
from ablate.results.training import FinishedTraining
from ablate.runner.identity import base_weights, language_weights
from ablate.runner.prepare import PreparedRun
from ablate.runner.training import train
from ablate.telemetry.cost import Stopwatch
from ablate.telemetry.interruption import RunInterruptedError, SafePoints, raise_if_interrupted
from ablate.trackers.tracking import OnStep

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Measured:
    """What a run found.

    Attributes:
        training: What was trained.
        columns: Value by column of results.csv.
        tasks: Rows of tasks.csv.
        sessions: Rows of sessions.csv.
        items: One row per item.
    """

    training: FinishedTraining
    columns: dict[str, Any]
    tasks: list[TaskResult]
    sessions: list[SessionResult]
    items: pd.DataFrame


def measure(
    prepared: PreparedRun,
    compute: Compute,
    watch: Stopwatch,
    earlier: FinishedTraining | Checkpoint | None,
    on_step: OnStep,
) -> Measured:
    """Train a model and evaluate it: before and after on its own data, then on the suite.

    Args:
        prepared: The run.
        compute: Device and precision.
        watch: Adds up the seconds of each stage.
        earlier: What an earlier try has trained: it is merged instead of being trained again; or where its training
            was: it goes on from there.
        on_step: Takes the numbers of each training step.

    Returns:
        The run's numbers; the trained update is in the run's folder.

    Raises:
        NonFiniteLossError: If the training loss became NaN or infinite.
    """
    config, prints = prepared.config, prepared.fingerprints
    base = weights = Weights(base_weights(config, prints), is_base=True)

    def weights_of(task: Task) -> Weights:
        if task.kind == "text" and not training.columns["language_trained"]:
            return Weights(language_weights(config, prints), is_base=True)
        return weights

    safe_points = SafePoints(config.checkpoint.minutes, config.checkpoint.steps)
    answers = KeptAnswers(prepared.folder.answers_path)
    watch.seconds["eval"] = answers.seconds
    stages = stages_of(config, prepared.data)
    parts = frozenset[str]().union(*(stage.method.parts() for stage in stages))
    own = [task for task in prepared.tasks if isinstance(task, ClassificationTask)]
    with ExitStack() as stack:
        with watch.stage("load"):
            vlm = stack.enter_context(borrowed(config, compute, parts))
        cache = AnswerCache(prepared.cache_folder, compute)
        evaluator = Evaluator(vlm, config.eval, cache, answers, watch, safe_points)
        before = evaluator.answers("before", own, lambda _: base)
        sessions = _AfterSessions(
            lambda: evaluator.answers(f"evaluate {config.data.name}", own[:1], weights_of)
        )

        def after_stage(update: Mapping[str, Tensor]) -> None:
            nonlocal weights
            if update:
                digest = fingerprint_of(weights.digest, tensors_digest(update))
                weights = Weights(digest, is_base=False)
            sessions.evaluate()

        if isinstance(earlier, FinishedTraining):
            log.info(
                "evaluating what was trained by %s, without training it again", earlier.trained_at
            )
            training = earlier
            for update in replay(stages, vlm, prepared.folder.adapter_path, config.seed):
                after_stage(update)
        else:
            training = train(
                prepared, stages, vlm, compute, watch, safe_points, earlier, after_stage, on_step
            )
        by_session = sessions.answers()
        after = [*by_session[-1], *evaluator.answers("evaluate controls", own[1:], weights_of)]
        on_suite = evaluator.answers("tasks", prepared.suite, weights_of)
        if config.save_model:
            save_model(vlm, prepared.folder.model_path, prepared.folder.partial_model_path)
    evaluations = [evaluation_of(*one) for one in zip(own, after, before, strict=True)]
    columns = _summary([row for evaluation in evaluations for row in evaluation.rows])
    columns["eval_batch"] = evaluator.config.batch_size
    results: list[SessionResult] = []
    if not isinstance(config.data, InstructionDataConfig):
        of_target = [before[0], *(answers[0] for answers in by_session)]
        results = session_results(own[0], of_target)
        columns["forgetting"] = forgetting(results)
    evaluations += [evaluation_of(*one) for one in zip(prepared.suite, on_suite, strict=True)]
    return Measured(
        training,
        columns,
        [row for evaluation in evaluations for row in evaluation.rows],
        results,
        pd.concat([t for evaluation in evaluations for t in evaluation.items], ignore_index=True),
    )


class _AfterSessions:
    """The target after every session; a failure is kept until all sessions have been trained."""

    def __init__(self, evaluate: Callable[[], list[Answers]]) -> None:
        self._evaluate = evaluate
        self._answers: list[list[Answers]] = []
        self._error: Exception | None = None

    def evaluate(self) -> None:
        """Evaluate the target, unless that has failed before."""
        if self._error is not None:
            return
        try:
            self._answers.append(self._evaluate())
        except RunInterruptedError:
            raise
        except Exception as error:  # whatever it is, the training goes on and `answers` raises it
            raise_if_interrupted()
            log.exception("the evaluation failed; training goes on")
            self._error = error

    def answers(self) -> list[list[Answers]]:
        """Return the answers after each session, or raise what went wrong."""
        if self._error is not None:
            raise self._error
        return self._answers


def _summary(tasks: list[TaskResult]) -> dict[str, Any]:
    """Return the run's headline numbers; none where it has no target."""
    vqa = [task for task in tasks if task.metric == VQA]
    if not vqa:
        return {}
    target, *controls = vqa
    return {
        "accuracy": target.value,
        "accuracy_before": target.value_before,
        "target_improvement": target_improvement(target.value_before, target.value),
        "control_change": control_change([(task.value_before, task.value) for task in controls]),
        "n_items": target.n,
    }
