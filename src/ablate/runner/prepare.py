"""Everything a run needs apart from a model: its data, its checked configuration, its name."""

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from ablate.config.errors import ConfigError
from ablate.config.reading import run_words
from ablate.config.schema import FewShotData, InstructionDataConfig, RunConfig
from ablate.data.types import ImageClassification
from ablate.evaluation.task import Task
from ablate.evaluation.tasks.classification import ClassificationTask
from ablate.evaluation.tasks.load import load_suite
from ablate.methods.build import check_method
from ablate.models.check import check_parts
from ablate.models.compute import choose_compute
from ablate.models.conversation import named, resolved
from ablate.models.options import check_options
from ablate.models.remembered import recall
from ablate.recipes.build import TrainingData, check_steps
from ablate.recipes.checks import (
    check_fit,
    check_frozen,
    check_max_tokens,
    check_model,
    check_names,
    check_recipe,
    check_training,
)
from ablate.recipes.data import load_data, load_instructions
from ablate.results.run_folder import RunFolder
from ablate.runner.identity import fingerprints, run_id
from ablate.runner.overlap import check_apart
from ablate.trackers.build import check_trackers

# Space for the first tables of a sweep.
_ROOM_BYTES = 1 << 16
CACHE = ".cache"
_loaded: dict[str, Any] = {}

Loaded = TypeVar("Loaded")


@dataclass(frozen=True)
class PreparedRun:
    """A run that has passed every check that needs no model.

    Attributes:
        config: The run.
        data: What it is trained on.
        tasks: What it is evaluated on: its target and controls, then its suite.
        folder: Where its results go.
        fingerprints: Content hash of the model's weights, the data, each control and each task of the suite.
        overrides: The words that the run was composed from.
    """

    config: RunConfig
    data: TrainingData
    tasks: tuple[Task, ...]
    folder: RunFolder
    fingerprints: dict[str, str]
    overrides: tuple[str, ...]

    @property
    def cache_folder(self) -> Path:
        """What runs of all sweeps below one output folder may share."""
        return Path(self.config.output_dir) / CACHE

    @property
    def suite(self) -> tuple[Task, ...]:
        """The tasks of its suite: what the stable scores are made of."""
        return tuple(task for task in self.tasks if task.kind in ("vision", "text"))


def prepare(config: RunConfig, overrides: Sequence[str], made_here: bool = True) -> PreparedRun:
    """Check a run against its data, its model's config and its output folder, and name it.

    Args:
        config: The run.
        overrides: The words that it was composed from; those that say where it is made are not recorded.
        made_here: Whether this machine's devices are those it will be made on; where it is made, they are checked.

    Returns:
        The run.

    Raises:
        ConfigError: If the run could not be made.
    """
    check_trackers(config.tracker)
    recall(Path(config.output_dir) / CACHE)
    config = checked(config)
    if made_here:
        check_options(config.model, choose_compute(config.device, config.precision))
    check_parts(config.model, config.encoder)
    check_fit(config)
    suite = tuple(_once(load_suite, config.tasks).values()) if config.tasks else ()
    data = data_of(config)
    check_steps(config, data.training)
    prints = fingerprints(config, data.fingerprints, suite)
    folder = RunFolder(Path(config.output_dir) / config.name, run_id(config, prints))
    tasks = (*data.tasks, *suite)
    if isinstance(data.training, ImageClassification) and not isinstance(
        config.data, InstructionDataConfig
    ):
        check_apart(data.training, config.data, config.seed, tasks)
    return PreparedRun(config, data.training, tasks, folder, prints, run_words(overrides))


def checked(config: RunConfig) -> RunConfig:
    """Check a run without its data and without any weight, and fill in what is left to its model.

    Raises:
        ConfigError: If the run could not be made.
    """
    config = replace(config, model=named(config.model))
    check_recipe(config)
    check_training(config)
    check_method(config.method, config.loss)
    if config.language is not None:
        check_method(config.language, config.loss, "language")
    if config.projector is not None:
        check_method(config.projector, config.loss, "projector")
    check_names(config)
    check_model(config)
    check_frozen(config)
    return replace(config, model=resolved(config.model))


@dataclass(frozen=True)
class RunData:
    """The data of a run.

    Attributes:
        training: What it is trained on.
        tasks: Its target and controls as tasks; none where it is trained on instructions.
        fingerprints: Content hash of the data and of each control.
    """

    training: TrainingData
    tasks: tuple[ClassificationTask, ...]
    fingerprints: dict[str, str]


def data_of(config: RunConfig) -> RunData:
    """Load the data of a checked run, once in this process.

    Raises:
        ConfigError: If they are missing or broken, or too few.
    """
    if isinstance(config.data, InstructionDataConfig):
        instructions = _once(load_instructions, config.data)
        check_max_tokens(config, instructions, config.data.max_tokens)
        return RunData(instructions, (), {"data": instructions.fingerprint})
    data = _once(load_data, config.data, True, "data")
    tasks = [_classification(config, config.data, "target", "data")]
    prints = {"data": data.fingerprint}
    for name, control in config.controls.items():
        key = f"controls.{name}"
        tasks.append(_classification(config, control, "control", key))
        prints[key] = _once(load_data, control, False, key).fingerprint
    return RunData(data, tuple(tasks), prints)


def _classification(
    config: RunConfig, data: FewShotData, kind: Literal["target", "control"], place: str
) -> ClassificationTask:
    """Make a data set of the run a task, once in this process: it keeps its decoded images."""
    loaded = _once(load_data, data, kind == "target", place)
    has_clip = config.encoder is None and config.model.clip is not None
    key = repr((data, kind, config.eval, has_clip))
    if key not in _loaded:
        _loaded[key] = ClassificationTask(loaded, data, kind, config.eval, has_clip)
    task: ClassificationTask = _loaded[key]
    return task


def _once(load: Callable[..., Loaded], *given: object) -> Loaded:
    """Load data once in this process."""
    key = repr((load.__name__, given))
    if key not in _loaded:
        _loaded[key] = load(*given)
    loaded: Loaded = _loaded[key]
    return loaded


def check_output(folder: Path) -> None:
    """Make an output folder, before hours are spent on what could not be written.

    Raises:
        ConfigError: If it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            # An empty file can be made on a full disk, too.
            file.write(bytes(_ROOM_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise ConfigError(
            f"Output folder {folder} cannot be written ({error.strerror}). "
            f"Fix: output_dir=<a folder you may write to>."
        ) from error
