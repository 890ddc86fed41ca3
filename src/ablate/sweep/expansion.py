"""Expansion of the command line into a list of runs."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from ablate.config.environment import check_environment
from ablate.config.errors import ConfigError
from ablate.config.reading import read_run_config, run_part
from ablate.config.schema import AxisValue, RunConfig
from ablate.config.schema.tasks import LmEvalTask
from ablate.config.schema.trackers import TrackerConfig
from ablate.sweep.ablation import check_ablation

Compose = Callable[[list[str]], DictConfig]
# Composing a run takes about 0.3 s, so this many take most of an hour before the first begins.
_MOST_RUNS = 10_000


@dataclass(frozen=True)
class RunSpec:
    """One run of an expanded sweep.

    Attributes:
        overrides: What Hydra composes it from.
        config: What that composes to, checked and typed.
    """

    overrides: tuple[str, ...]
    config: RunConfig


def expand(overrides: list[Override], compose: Compose) -> list[RunSpec]:
    """Expand comma sweeps, then the values and seeds of every ablation, into single runs.

    Args:
        overrides: The parsed command line.
        compose: Composes a configuration from plain overrides.

    Returns:
        The runs in the order of the command line, each once.

    Raises:
        ConfigError: If any of the runs is misconfigured, or there is none.
    """
    _check_sweeps(overrides)
    runs: dict[tuple[str, ...], RunSpec] = {}
    for combination in BasicSweeper.split_arguments(overrides, max_batch_size=None)[0]:
        for run in _expand_ablation(combination, compose):
            runs.setdefault(run.overrides, run)
    return list(runs.values())


def _check_sweeps(overrides: list[Override]) -> None:
    """Refuse an empty sweep, which would succeed without a run, and one without end."""
    n_runs = 1
    for override in overrides:
        if not override.is_discrete_sweep():
            continue
        n_values = len(list(islice(override.sweep_string_iterator(), _MOST_RUNS + 1)))
        if not n_values:
            raise ConfigError(
                f"{override.input_line} matches nothing, so there is nothing to run. "
                "Fix: `ablate list` shows the choices."
            )
        n_runs *= n_values
        if n_runs > _MOST_RUNS:
            raise ConfigError(
                f"{override.input_line} brings the sweep to more than {_MOST_RUNS} runs. Fix: sweep over fewer."
            )


def _expand_ablation(overrides: list[str], compose: Compose) -> list[RunSpec]:
    """Expand the ablation of one combination, if it has one, and its seeds."""
    config = compose(overrides)
    check_environment(run_part(config))
    varied: list[list[str]] = [[]]
    chosen = [word for word in overrides if re.match(r"\+*ablation=", word)]
    if config.get("ablation") is not None:
        check_ablation(config)
        varied = _value_overrides(config, overrides)
    elif chosen:
        raise ConfigError(
            f"{chosen[0].lstrip('+')} was given, but its file defines no ablation. "
            "Fix: an `ablation:` block with question, key, values and baseline."
        )
    points = [[*overrides, *extra] for extra in varied]
    composed = ((words, config if words == overrides else compose(words)) for words in points)
    seeds = config.seeds
    if seeds is None:
        return [_run_spec(words, point) for words, point in composed]
    if not OmegaConf.is_list(seeds) or len(seeds) == 0:
        raise ConfigError(
            f"seeds is {seeds!r}; allowed: a list of at least one integer. Fix: seeds=[0,1,2]."
        )
    given_seed = [word for word in overrides if word.split("=", 1)[0] == "seed"]
    if given_seed:
        raise ConfigError(
            f"{given_seed[0]} was given, but the seeds are {list(seeds)}. "
            f"Fix: seeds=[{given_seed[0].split('=', 1)[1]}]."
        )
    return [spec for words, point in composed for spec in _with_seeds(words, point, seeds)]


def _with_seeds(overrides: list[str], config: DictConfig, seeds: Iterable[int]) -> list[RunSpec]:
    """Give one composed configuration every seed: composing it anew for each would take as long as all else here."""
    specs = []
    for seed in seeds:
        config.seed = seed
        specs.append(_run_spec([*overrides, f"seed={seed}"], config))
    return specs


def _value_overrides(config: DictConfig, overrides: list[str]) -> list[list[str]]:
    """Return the overrides that each value of an ablation adds."""
    key = config.ablation.key
    twice = [word for word in overrides if word.split("=", 1)[0].lstrip("+") == key]
    if twice:
        raise ConfigError(
            f"{twice[0]} was given, but ablation '{config.ablation.get('name')}' varies {key}. "
            f"Fix: ablation.values=[{twice[0].split('=', 1)[1]}]."
        )
    return [
        [f"{key}={quoted(value)}", f"ablation.value={quoted(value)}"]
        for value in config.ablation["values"]
    ]


def _run_spec(overrides: list[str], composed: DictConfig) -> RunSpec:
    config = read_run_config(composed)
    _check_permissions(config, overrides)
    return RunSpec(tuple(overrides), config)


def _check_permissions(config: RunConfig, overrides: list[str]) -> None:
    """Refuse what only the command line may allow: that a task's code runs, that numbers are sent away."""
    given = [word.lstrip("+").partition("=")[0] for word in overrides]
    for name, task in (config.tasks.tasks if config.tasks else {}).items():
        key = f"tasks.tasks.{name}.allow_task_code"
        if isinstance(task, LmEvalTask) and task.allow_task_code and key not in given:
            raise ConfigError(
                f"A configuration file sets {key}, which lets a task run code; a file cannot. "
                f"Fix: read that code, then write {key}=true on the command line."
            )
    for key, value in _destinations(config.tracker).items():
        if key not in given:
            raise ConfigError(
                f"A configuration file sets {key} to '{value}', which sends numbers over the network; a file cannot. "
                f"Fix: write {key}={value} on the command line, if that is what you want."
            )


def _destinations(trackers: TrackerConfig) -> dict[str, str]:
    """Return the settings that make trackers send numbers to another machine."""
    found = {}
    if trackers.wandb is not None and trackers.wandb.mode == "online":
        found["tracker.wandb.mode"] = "online"
    if trackers.mlflow is not None and not trackers.mlflow.is_file:
        found["tracker.mlflow.tracking_uri"] = trackers.mlflow.tracking_uri
    return found


def searchpath(folder: Path) -> str:
    """Write the word that adds a folder of configs, in Hydra's grammar."""
    return f"hydra.searchpath=[{quoted(f'file://{folder.resolve()}')}]"


def quoted(value: AxisValue | None) -> str:
    """Write a value so that Hydra's override grammar reads it back as it is."""
    if isinstance(value, str):
        # A backslash means itself unless a quote follows.
        escaped = re.sub(r"(\\*)('|$)", lambda m: m[1] * 2 + m[2].replace("'", "\\'"), value)
        return f"'{escaped}'"
    return "null" if value is None else str(value).lower()
