"""From the words on the command line to the list of runs they stand for."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from ablate.config.errors import ConfigError
from ablate.config.reading import flat_keys, nearest_key, read_run_config
from ablate.config.schema import AxisValue, RunConfig

Compose = Callable[[list[str]], DictConfig]


@dataclass(frozen=True)
class Point:
    """One run to be made.

    Attributes:
        overrides: What Hydra composes it from.
        config: What that composes to, checked and typed.
    """

    overrides: tuple[str, ...]
    config: RunConfig


def expand(overrides: list[Override], compose: Compose) -> list[Point]:
    """Expand comma sweeps, then the values and seeds of every ablation, into single runs.

    Args:
        overrides: The parsed command line.
        compose: Composes a configuration from plain overrides.

    Returns:
        The runs in the order they were asked for; a run asked for twice is there once.

    Raises:
        ConfigError: If any of the runs is misconfigured.
    """
    points: dict[tuple[str, ...], Point] = {}
    for combination in BasicSweeper.split_arguments(overrides, max_batch_size=None)[0]:
        for point in _expand_ablation(combination, compose):
            points.setdefault(point.overrides, point)
    return list(points.values())


def _expand_ablation(overrides: list[str], compose: Compose) -> list[Point]:
    """Expand the ablation of one combination, if it has one, and its seeds."""
    config = compose(overrides)
    varied: list[list[str]] = [[]]
    if config.get("ablation") is not None:
        varied = _value_overrides(config, overrides)
    seeds = config.seeds
    if seeds is None:
        return [_point([*overrides, *extra], compose) for extra in varied]
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
    return [
        _point([*overrides, *extra, f"seed={seed}"], compose) for extra in varied for seed in seeds
    ]


def _value_overrides(config: DictConfig, overrides: list[str]) -> list[list[str]]:
    """Return the overrides that each value of an ablation adds."""
    ablation = config.ablation
    key = ablation.get("key")
    values = ablation.get("values")
    if not OmegaConf.is_list(values) or len(values) == 0:
        raise ConfigError(
            f"ablation.values is {values!r}; allowed: a list of at least one value. "
            f"Fix: ablation.values=[...]."
        )
    if ablation.get("baseline") not in list(values):
        raise ConfigError(
            f"ablation.baseline is {ablation.get('baseline')!r}, which is not among the values "
            f"{list(values)}. Fix: ablation.baseline={values[0]}, or add it to ablation.values."
        )
    _check_key(config, str(key))
    twice = [word for word in overrides if word.split("=", 1)[0].lstrip("+") == key]
    if twice:
        raise ConfigError(
            f"{twice[0]} was given, but ablation '{ablation.get('name')}' varies {key}. "
            f"Fix: ablation.values=[{twice[0].split('=', 1)[1]}]."
        )
    return [
        [f"{key}={quoted(value)}", f"ablation.value={quoted(value)}"]
        for value in dict.fromkeys(values)
    ]


def _check_key(config: DictConfig, key: str) -> None:
    """Refuse an ablation over a key that the configuration does not have."""
    known = flat_keys(_plain(config))
    if key not in known:
        match = nearest_key(key, known)
        hint = f" Did you mean '{match}'?" if match else ""
        raise ConfigError(f"ablation.key is '{key}', which is no configuration key.{hint}")


def _plain(config: DictConfig) -> dict[str, object]:
    values = OmegaConf.to_container(config, resolve=False)
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items() if key != "hydra"}


def _point(overrides: list[str], compose: Compose) -> Point:
    return Point(tuple(overrides), read_run_config(compose(overrides)))


def quoted(value: AxisValue | None) -> str:
    """Write a value so that Hydra's override grammar reads it back as it is."""
    if isinstance(value, str):
        # A backslash means itself unless a quote follows.
        escaped = re.sub(r"(\\*)('|$)", lambda m: m[1] * 2 + m[2].replace("'", "\\'"), value)
        return f"'{escaped}'"
    return "null" if value is None else str(value).lower()
