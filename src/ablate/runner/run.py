"""One run: load, measure, adapt, measure again."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ablate.config.schema import RunConfig
from ablate.evaluation.metrics import control_change, target_improvement
from ablate.models.compute import Compute
from ablate.models.loading import load_model
from ablate.models.vlm import VisionLanguageModel
from ablate.results.record import SessionResult, TaskResult
from ablate.runner.adapt import adapt
from ablate.runner.evaluate import EvaluationSet, Outcome, evaluate, item_table, task_results
from ablate.runner.prepare import PreparedRun
from ablate.runner.progress import stage_bar
from ablate.runner.saving import save_model
from ablate.runner.sessions import forgetting, session_results
from ablate.runner.stages import Stopwatch
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
    """Adapt a model and measure it before and after.

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
        vlm = load_model(config.model, compute)
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
    if config.save_model:
        save_model(vlm, prepared.folder.model_path, prepared.folder.partial_model_path)
    sessions = session_results(target, config.data.sessions, [before, *after_sessions])
    columns |= _summary(tasks) | {"forgetting": forgetting(sessions)}
    return Measured(columns, tasks, sessions, pd.concat(items, ignore_index=True))


def _ask_all_untouched(
    prepared: PreparedRun, vlm: VisionLanguageModel, compute: Compute
) -> Iterator[tuple[EvaluationSet, Outcome]]:
    config = prepared.config
    with stage_bar("before", _n_items(prepared), "item") as advance:
        yield ask_untouched(vlm, prepared.target, config.data, "target", config, compute, advance)
        for name, data in prepared.controls.items():
            control = config.controls[name]
            yield ask_untouched(vlm, data, control, "control", config, compute, advance)


def _ask(vlm: VisionLanguageModel, asked: EvaluationSet, config: RunConfig) -> Outcome:
    with stage_bar(f"evaluate {asked.data.name}", len(asked.items), "item") as advance:
        return evaluate(vlm, asked, config.eval, advance)


def _n_items(prepared: PreparedRun) -> int:
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
