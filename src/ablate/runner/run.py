"""One run: load, measure, adapt, measure again."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from ablate.config.schema import RunConfig
from ablate.evaluation.metrics import control_change, target_improvement
from ablate.models.compute import Compute
from ablate.models.vlm import VisionLanguageModel
from ablate.results.items import items_table
from ablate.results.record import SessionResult, TaskResult
from ablate.runner.adapt import adapt
from ablate.runner.evaluate import EvaluationSet, Outcome, evaluate, item_tables, task_results
from ablate.runner.instruct import instruct
from ablate.runner.load import load_vlm
from ablate.runner.prepare import FewShotRun, InstructionRun, PreparedRun
from ablate.runner.progress import stage_bar
from ablate.runner.restore import replay
from ablate.runner.saving import save_model
from ablate.runner.sessions import forgetting, session_results
from ablate.runner.stages import Stopwatch
from ablate.runner.suite import ask_suite
from ablate.runner.training import FinishedTraining
from ablate.runner.untouched import ask_untouched

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Measured:
    """What a run found.

    Attributes:
        training: What was trained.
        columns: Value by column of results.csv.
        tasks: Rows of tasks.csv.
        sessions: Rows of sessions.csv.
        items: Tables of one row per item.
    """

    training: FinishedTraining
    columns: dict[str, Any]
    tasks: list[TaskResult]
    sessions: list[SessionResult]
    items: list[pd.DataFrame]


def measure(
    prepared: PreparedRun, compute: Compute, watch: Stopwatch, kept: FinishedTraining | None
) -> Measured:
    """Train a model and measure it: before and after on its own data, then on the suite.

    Args:
        prepared: The run.
        compute: Device and precision.
        watch: Adds up the seconds of each stage.
        kept: What an earlier try has trained: it is folded in instead of being trained again.

    Returns:
        The run's numbers; the trained update is in the run's folder.

    Raises:
        NonFiniteLossError: If the training loss became NaN or infinite.
    """
    config = prepared.config
    with watch.stage("load"):
        vlm = load_vlm(config, compute)
    if kept is not None:
        log.info("what was trained by %s is evaluated, not trained again", kept.trained_at)
    if isinstance(prepared, InstructionRun):
        measured = _instructions(prepared, vlm, compute, watch, kept)
    elif isinstance(prepared, FewShotRun):
        measured = _few_shot(prepared, vlm, compute, watch, kept)
    else:
        raise TypeError(f"no recipe for a {type(prepared).__name__}")
    language_trained = bool(measured.training.columns["language_trained"])
    with watch.stage("eval"), compute.autocast():
        suite = ask_suite(prepared, vlm, compute, language_trained)
    if config.save_model:
        save_model(vlm, prepared.folder.model_path, prepared.folder.partial_model_path)
    results = [outcome.result for outcome in suite]
    tables = [items_table(o.result.task, o.result.kind, o.result.metric, o.items) for o in suite]
    return replace(measured, tasks=[*measured.tasks, *results], items=[*measured.items, *tables])


def _instructions(
    prepared: InstructionRun,
    vlm: VisionLanguageModel,
    compute: Compute,
    watch: Stopwatch,
    kept: FinishedTraining | None,
) -> Measured:
    """Train on instructions; all that is measured is the suite, afterwards."""
    if kept is None:
        kept = instruct(prepared, vlm, compute, watch)
    else:
        for _ in replay(prepared.config, vlm, prepared.folder.adapter_path):
            pass
    return Measured(kept, {}, [], [], [])


def _few_shot(
    prepared: FewShotRun,
    vlm: VisionLanguageModel,
    compute: Compute,
    watch: Stopwatch,
    kept: FinishedTraining | None,
) -> Measured:
    """Adapt to the target, and ask target and controls before and after."""
    config = prepared.config
    with watch.stage("eval"), compute.autocast():
        asked = list(_ask_all_untouched(prepared, vlm, compute))
    target, before = asked[0]

    def ask_target() -> Outcome:
        with watch.stage("eval"), compute.autocast():
            return _ask(vlm, target, config)

    sessions = _AfterSessions(ask_target)
    if kept is None:
        training = adapt(prepared, vlm, compute, watch, sessions.measure)
    else:
        training = kept
        for _ in replay(config, vlm, prepared.folder.adapter_path):
            sessions.measure()
    after_sessions = sessions.outcomes()
    with watch.stage("eval"), compute.autocast():
        after = [after_sessions[-1], *(_ask(vlm, one, config) for one, _ in asked[1:])]
    pairs = list(zip(asked, after, strict=True))
    tasks = [task for (one, early), late in pairs for task in task_results(one, early, late)]
    items = [table for (one, early), late in pairs for table in item_tables(one, early, late)]
    by_session = session_results(target, prepared.data.sessions, [before, *after_sessions])
    columns = {**_summary(tasks), "forgetting": forgetting(by_session)}
    return Measured(training, columns, tasks, by_session, items)


class _AfterSessions:
    """The target after every session; a failure is kept until all sessions have been trained."""

    def __init__(self, ask: Callable[[], Outcome]) -> None:
        self._ask = ask
        self._outcomes: list[Outcome] = []
        self._error: Exception | None = None

    def measure(self) -> None:
        """Ask the target, unless that has failed before."""
        if self._error is not None:
            return
        try:
            self._outcomes.append(self._ask())
        except Exception as error:  # whatever it is, the training goes on and `outcomes` raises it
            log.exception("the evaluation failed; training goes on")
            self._error = error

    def outcomes(self) -> list[Outcome]:
        """Return what was said after each session, or raise what went wrong."""
        if self._error is not None:
            raise self._error
        return self._outcomes


def _ask_all_untouched(
    prepared: FewShotRun, vlm: VisionLanguageModel, compute: Compute
) -> Iterator[tuple[EvaluationSet, Outcome]]:
    config = prepared.config
    with stage_bar("before", _n_items(prepared), "item") as advance:
        yield ask_untouched(vlm, prepared.target, prepared.data, "target", config, compute, advance)
        for name, data in prepared.controls.items():
            control = config.controls[name]
            yield ask_untouched(vlm, data, control, "control", config, compute, advance)


def _ask(vlm: VisionLanguageModel, asked: EvaluationSet, config: RunConfig) -> Outcome:
    with stage_bar(f"evaluate {asked.data.name}", len(asked.items), "item") as advance:
        return evaluate(vlm, asked, config.eval, advance)


def _n_items(prepared: FewShotRun) -> int:
    return sum(len(data.test.ids) for data in (prepared.target, *prepared.controls.values()))


def _summary(tasks: list[TaskResult]) -> dict[str, Any]:
    """Return the run's headline numbers."""
    target = next(task for task in tasks if task.kind == "target" and task.metric == "accuracy")
    controls = [task for task in tasks if task.kind == "control" and task.metric == "accuracy"]
    return {
        "accuracy": target.value,
        "accuracy_before": target.value_before,
        "target_improvement": target_improvement(target.value_before, target.value),
        "control_change": control_change([(task.value_before, task.value) for task in controls]),
        "n_items": target.n,
    }
