"""Everything a run needs apart from a model: data at hand, choices checked, the run's name known."""

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ablate.config.errors import ConfigError
from ablate.config.schema import FewShotData, InstructionDataConfig, RunConfig, SuiteConfig
from ablate.data.instructions import load_instructions
from ablate.data.load import load_data
from ablate.data.types import ImageClassification, InstructionData
from ablate.methods.build import check_method
from ablate.models.check import check_parts
from ablate.models.compute import choose_compute
from ablate.models.conversation import named, resolved
from ablate.results.run_folder import RunFolder
from ablate.runner.checks import (
    check_attention,
    check_layers,
    check_model,
    check_names,
    check_recipe,
    check_room,
    check_training,
)
from ablate.runner.identity import fingerprints, run_id
from ablate.tasks.base import Task
from ablate.tasks.load import load_suite

# Room for the tables of a sweep's beginning.
_ROOM_BYTES = 1 << 16
_CLASSIFICATION: dict[str, ImageClassification] = {}
_INSTRUCTIONS: dict[str, InstructionData] = {}
_SUITES: dict[str, tuple[Task, ...]] = {}


@dataclass(frozen=True)
class PreparedRun:
    """A run that has passed every check that needs no model.

    Attributes:
        config: The run.
        tasks: The suite's tasks, asked after training.
        folder: Where its results go.
        fingerprints: Content hash of the model's weights, the data, each control and each task.
        overrides: The words that the run was composed from.
    """

    config: RunConfig
    tasks: tuple[Task, ...]
    folder: RunFolder
    fingerprints: dict[str, str]
    overrides: tuple[str, ...]

    @property
    def cache_folder(self) -> Path:
        """What runs of all sweeps below one output folder may share."""
        return Path(self.config.output_dir) / ".cache"


@dataclass(frozen=True)
class FewShotRun(PreparedRun):
    """A run that adapts a model to a data set with few images of every class.

    Attributes:
        data: The target's configuration.
        target: The data set it adapts to.
        controls: The data sets that show forgetting, by name.
    """

    data: FewShotData
    target: ImageClassification
    controls: dict[str, ImageClassification]


@dataclass(frozen=True)
class InstructionRun(PreparedRun):
    """A run that puts image encoder, projector and language model together on instructions.

    Attributes:
        data: The instructions' configuration.
        instructions: The conversations it is trained on.
    """

    data: InstructionDataConfig
    instructions: InstructionData


def prepare(config: RunConfig, overrides: Sequence[str]) -> PreparedRun:
    """Check a run against its data, its model's config and its output folder, and name it.

    Args:
        config: The run.
        overrides: The words that it was composed from.

    Returns:
        A `FewShotRun` or an `InstructionRun`.

    Raises:
        ConfigError: If the run could not be made.
    """
    choose_compute(config.device, config.precision)
    config = replace(config, model=named(config.model))
    check_recipe(config)
    check_training(config)
    check_method(config.method, config.loss)
    if config.language is not None:
        check_method(config.language, config.loss, "language")
    check_model(config)
    config = replace(config, model=resolved(config.model))
    check_parts(config.model, config.encoder)
    check_attention(config)
    check_layers(config)
    check_names(config)
    tasks = _suite(config.tasks) if config.tasks else ()
    if isinstance(config.data, InstructionDataConfig):
        instructions = _instructions(config.data)
        check_room(config, instructions, config.data.max_tokens)
        contents = fingerprints(config, {"data": instructions.fingerprint}, tasks)
        folder = RunFolder(Path(config.output_dir) / config.name, run_id(config, contents))
        return InstructionRun(
            config, tasks, folder, contents, tuple(overrides), config.data, instructions
        )
    target = _few_shot(config.data, trained_on=True)
    controls = {name: _few_shot(data, trained_on=False) for name, data in config.controls.items()}
    data = {f"controls.{name}": control.fingerprint for name, control in controls.items()}
    contents = fingerprints(config, {"data": target.fingerprint, **data}, tasks)
    folder = RunFolder(Path(config.output_dir) / config.name, run_id(config, contents))
    return FewShotRun(
        config, tasks, folder, contents, tuple(overrides), config.data, target, controls
    )


def _few_shot(config: FewShotData, trained_on: bool) -> ImageClassification:
    """Load a data set once in this process."""
    key = repr((config, trained_on))
    if key not in _CLASSIFICATION:
        _CLASSIFICATION[key] = load_data(config, trained_on)
    return _CLASSIFICATION[key]


def _instructions(config: InstructionDataConfig) -> InstructionData:
    """Load instructions once in this process."""
    key = repr(config)
    if key not in _INSTRUCTIONS:
        _INSTRUCTIONS[key] = load_instructions(config)
    return _INSTRUCTIONS[key]


def _suite(config: SuiteConfig) -> tuple[Task, ...]:
    """Load a suite's tasks once in this process."""
    key = repr(config)
    if key not in _SUITES:
        _SUITES[key] = tuple(load_suite(config).values())
    return _SUITES[key]


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
