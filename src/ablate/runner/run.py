"""One run: load, measure, adapt, measure again."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ablate.config.schema import RunConfig
from ablate.evaluation.metrics import control_change, target_improvement
from ablate.models.assemble import assemble
from ablate.models.compute import Compute
from ablate.models.loading import load_model
from ablate.models.vlm import VisionLanguageModel
from ablate.results.record import SessionResult, TaskResult
from ablate.runner.adapt import adapt
from ablate.runner.evaluate import EvaluationSet, Outcome, evaluate, item_table, task_results
from ablate.runner.instruct import instruct
from ablate.runner.prepare import FewShotRun, InstructionRun, PreparedRun
from ablate.runner.progress import stage_bar
from ablate.runner.saving import save_model
from ablate.runner.sessions import forgetting, session_results
from ablate.runner.stages import Stopwatch
from ablate.runner.suite import ask_suite
from ablate.runner.untouched import ask_untouched


@dataclass(frozen=True)
class Measured:
    """What a run found.

    Attributes:
        columns: Value by column of results.csv.
        tasks: Rows of tasks.csv.
        sessions: Rows of sessions.csv.
        items: One row per item.
    """

    columns: dict[str, Any]
    tasks: list[TaskResult]
    sessions: list[SessionResult]
    items: pd.DataFrame


def measure(prepared: PreparedRun, compute: Compute, watch: Stopwatch) -> Measured:
    """Train a model and measure it: before and after on its own data, then on the suite.

    Args:
        prepared: The run.
        compute: Device and precision.
        watch: Adds up the seconds of each stage.

    Returns:
        The run's numbers; the trained update is in the run's folder.

    Raises:
        NonFiniteLossError: If the training loss became NaN or infinite.
    """
    config = prepared.config
    with watch.stage("load"):
        vlm = load_vlm(config, compute)
    if isinstance(prepared, InstructionRun):
        columns = instruct(prepared, vlm, compute, watch)
        measured = Measured(columns, [], [], pd.DataFrame())
    elif isinstance(prepared, FewShotRun):
        measured = _few_shot(prepared, vlm, compute, watch)
    else:
        raise TypeError(f"no recipe for a {type(prepared).__name__}")
    language_trained = measured.columns.pop("language_trained")
    with watch.stage("eval"), compute.autocast():
        suite = ask_suite(prepared, vlm, compute, language_trained)
    if config.save_model:
        save_model(vlm, prepared.folder.model_path, prepared.folder.partial_model_path)
    tasks = [*measured.tasks, *(outcome.result for outcome in suite)]
    items = [measured.items, *(outcome.items for outcome in suite)]
    return Measured(
        {**measured.columns, "n_items": measured.columns.get("n_items") or sum(t.n for t in tasks)},
        tasks,
        measured.sessions,
        pd.concat([table for table in items if len(table)], ignore_index=True),
    )


def load_vlm(config: RunConfig, compute: Compute) -> VisionLanguageModel:
    """Load a run's model as it is before training, its own encoder replaced where the run says so."""
    if config.encoder is None:
        return load_model(config.model, compute)
    return assemble(config.encoder, config.model, compute, config.seed)


def _few_shot(
    prepared: FewShotRun, vlm: VisionLanguageModel, compute: Compute, watch: Stopwatch
) -> Measured:
    """Adapt to the target, and ask target and controls before and after."""
    config = prepared.config
    with watch.stage("eval"), compute.autocast():
        asked = list(_ask_all_untouched(prepared, vlm, compute))
    target, before = asked[0]
    after_sessions: list[Outcome] = []

    def after_session() -> None:
        with watch.stage("eval"), compute.autocast():
            after_sessions.append(_ask(vlm, target, config))

    columns = adapt(prepared, vlm, compute, watch, after_session)
    with watch.stage("eval"), compute.autocast():
        after = [after_sessions[-1], *(_ask(vlm, one, config) for one, _ in asked[1:])]
    tasks = [
        task
        for (one, before), outcome in zip(asked, after, strict=True)
        for task in task_results(one, before, outcome)
    ]
    items = [
        item_table(one, before, outcome)
        for (one, before), outcome in zip(asked, after, strict=True)
    ]
    sessions = session_results(target, prepared.data.sessions, [before, *after_sessions])
    columns |= _summary(tasks) | {"forgetting": forgetting(sessions)}
    return Measured(columns, tasks, sessions, pd.concat(items, ignore_index=True))


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
