"""Runs as `ablate run` would prepare them, though no weight is read and models may be missing."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ablate.config.errors import ConfigError, one_line
from ablate.config.reading import run_words
from ablate.config.schema import RunConfig, SuiteConfig
from ablate.evaluation.task import Task
from ablate.evaluation.tasks.load import load_task
from ablate.models.conversation import named
from ablate.models.files import full_name, unhashed_bytes
from ablate.models.remembered import recall
from ablate.pricing.stand_in import StandIns
from ablate.recipes.checks import check_fit
from ablate.results.run_folder import RunFolder
from ablate.runner.identity import fingerprints, run_id, slug
from ablate.runner.prepare import CACHE, PreparedRun, RunData, checked, data_of
from ablate.sweep.expansion import RunSpec

# A plan takes seconds; hashing takes one for each of so many bytes.
_MOST_HASHED_BYTES = 2_000_000_000
_tasks: dict[str, Task | str] = {}


@dataclass(frozen=True)
class PlannedRun:
    """A run that has passed the checks which need no weight.

    Attributes:
        name: Its `run_id` or, where that is not known, the readable part of it.
        given: The run.
        config: The same, a model that is not on disk replaced by its stand-in.
        data: What it is trained on, and its target and controls as tasks.
        suite: The tasks of its suite that could be loaded.
        not_loaded: Why the others could not, by name.
        prepared: The run as it would be made; None where its name depends on what is not known here.
        unnamed: Why it is None.
    """

    name: str
    given: RunConfig
    config: RunConfig
    data: RunData
    suite: tuple[Task, ...]
    not_loaded: dict[str, str]
    prepared: PreparedRun | None
    unnamed: str | None = field(default=None)

    @property
    def tasks(self) -> tuple[Task, ...]:
        """All tasks that could be loaded: target, controls, suite."""
        return (*self.data.tasks, *self.suite)


def plan_run(spec: RunSpec, stand_ins: StandIns) -> PlannedRun:
    """Check a run as far as that is possible without reading weights, and name it.

    Args:
        spec: The run.
        stand_ins: What takes the place of models that are not on disk.

    Raises:
        ConfigError: If the run could not be made.
    """
    # Where it is planned need not be where it will run.
    original = replace(spec.config, device="auto", model=named(spec.config.model))
    recall(Path(original.output_dir) / CACHE)
    config = replace(
        original,
        model=stand_ins.model(original.model),
        encoder=stand_ins.encoder(original.encoder),
    )
    config = checked(config)
    check_fit(config)
    data = data_of(config)
    suite, not_loaded = _suite(config.tasks)
    given = original.model
    original = replace(
        original,
        model=replace(config.model, llava=given.llava, clip=given.clip, language=given.language),
    )
    unnamed = _why_unnamed(original, not_loaded)
    prepared = None
    if unnamed is None:
        prepared = _prepared(original, data, suite, spec.overrides)
    name = slug(original) if prepared is None else prepared.folder.run_id
    return PlannedRun(name, original, config, data, suite, not_loaded, prepared, unnamed)


def _suite(config: SuiteConfig | None) -> tuple[tuple[Task, ...], dict[str, str]]:
    """Load the tasks of a suite, each once in this process; say why others cannot be loaded."""
    loaded, missing = [], {}
    for name, task in (config.tasks if config else {}).items():
        key = repr((name, task))
        if key not in _tasks:
            try:
                _tasks[key] = load_task(name, task)
            except (ConfigError, ImportError) as error:
                _tasks[key] = one_line(str(error))
        found = _tasks[key]
        if isinstance(found, Task):
            loaded.append(found)
        else:
            missing[name] = found
    return tuple(loaded), missing


def _why_unnamed(config: RunConfig, not_loaded: dict[str, str]) -> str | None:
    """Say why it is not known what a run is called, and so whether it is done."""
    if not_loaded:
        return f"the data of {', '.join(not_loaded)} are not here"
    model, encoder = config.model, config.encoder
    names = [model.llava, model.clip] if encoder is None else [model.language or model.llava]
    names += [part.source for part in encoder.parts] if encoder else []
    for name in filter(None, names):
        if unhashed_bytes(name) > _MOST_HASHED_BYTES:
            return (
                f"the weights of {full_name(name, None)} were never hashed for this output folder"
            )
    return None


def _prepared(
    config: RunConfig, data: RunData, suite: tuple[Task, ...], overrides: Sequence[str]
) -> PreparedRun:
    prints = fingerprints(config, data.fingerprints, suite)
    folder = RunFolder(Path(config.output_dir) / config.name, run_id(config, prints))
    return PreparedRun(
        config, data.training, (*data.tasks, *suite), folder, prints, run_words(overrides)
    )
