"""Suites and tasks composed from the shipped configuration."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from pydantic import TypeAdapter

from ablate.config.folder import config_folder
from ablate.config.reading import read_run_config
from ablate.config.schema import EvalConfig
from ablate.config.schema.suites import SuiteConfig
from ablate.config.schema.tasks import TaskConfig
from ablate.evaluation.progress import Progress
from ablate.evaluation.task import Task, evaluation_of
from ablate.models.vlm import VisionLanguageModel
from ablate.results.items import ItemResult
from ablate.results.record import TaskResult

EVALUATION = EvalConfig(batch_size=7, n_options=5, seed=0, max_new_tokens=8)
PLACES = (
    "tasks.tasks.vsr.data.image_folder=images",
    "tasks.tasks.ocid-ref.data.image_folder=images",
    "tasks.tasks.ocid-ref.data.path=val_expressions.json",
)


def read_suite(*overrides: str) -> SuiteConfig:
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        suite = read_run_config(compose("config", overrides=list(overrides))).tasks
    assert suite is not None
    return suite


def read_task(name: str, **changes: Any) -> TaskConfig:
    """Read a shipped task with some of its values changed; a mapping changes only its own keys."""
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        whole = compose("config", overrides=["tasks=tiny", f"+task@tasks.tasks.one={name}"])
    node = OmegaConf.merge(whole, {"tasks": {"tasks": {"one": changes}}}).tasks.tasks.one
    values = OmegaConf.to_container(node, resolve=True)
    assert isinstance(values, Mapping)
    return TypeAdapter(TaskConfig).validate_python(values)


@dataclass(frozen=True)
class Outcome:
    """What a model scored on a task of one metric: its row, and its items."""

    result: TaskResult
    items: Sequence[ItemResult]


def outcome_of(
    task: Task, vlm: VisionLanguageModel, evaluation: EvalConfig = EVALUATION
) -> Outcome:
    counted: list[int] = []
    progress = Progress(on_items=counted.append)
    task.evaluate(vlm, evaluation, progress)
    answers = progress.answers()
    assert sum(counted) == task.n
    (row,) = evaluation_of(task, answers).rows
    return Outcome(row, answers[row.metric])


def predictions(outcome: Outcome) -> list[str | None]:
    return [item.prediction for item in outcome.items]


def by_id(outcome: Outcome) -> dict[str, ItemResult]:
    return {item.id: item for item in outcome.items}
