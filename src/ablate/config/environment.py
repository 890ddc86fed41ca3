"""Which keys may take their value from the environment: locations, never a recorded setting."""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import omegaconf.resolvers.oc as resolvers
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ablate.config.errors import ConfigError

_LOCATIONS = re.compile(
    r"output_dir|model\.(?:llava|clip|language)|encoder\.parts\.\d+\.source"
    r"|(?:.+\.)?(?:path|image_folder|include_path)"
)


def check_environment(config: DictConfig) -> None:
    """Refuse `${oc.env:...}` where its value would be recorded as more than a location.

    Every run writes its whole configuration into its folder; a token would be published with the results.

    Args:
        config: The configuration with its interpolations, without `hydra`.

    Raises:
        ConfigError: If a key that is not a location takes its value from the environment, directly or by another key.
    """
    with _environment_watched() as variables:
        for key, resolve in _interpolations(config, ""):
            variables.clear()
            # What cannot be resolved is reported when the configuration is read.
            with suppress(OmegaConfBaseException):
                value = resolve()
                if OmegaConf.is_config(value):
                    OmegaConf.to_container(value, resolve=True)
            if variables and not _LOCATIONS.fullmatch(key):
                raise ConfigError(
                    f"{key} takes its value from the environment (${{oc.env:{variables[0]}}}) and would be "
                    "written into the results; allowed only for locations, such as output_dir, data.path and "
                    f"model.llava. Fix: {key}=VALUE on the command line."
                )


@contextmanager
def _environment_watched() -> Iterator[list[str]]:
    """Yield a list that collects the variables that interpolations read."""
    variables: list[str] = []

    def environment(variable: str, *default: str) -> str | None:
        variables.append(variable)
        value: str | None = resolvers.env(variable, *default)
        return value

    OmegaConf.register_new_resolver("oc.env", environment, replace=True)
    try:
        yield variables
    finally:
        OmegaConf.register_new_resolver("oc.env", resolvers.env, replace=True)


def _interpolations(
    node: DictConfig | ListConfig, prefix: str
) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield the dotted key of every value that is an interpolation, and what resolves it."""
    names: Iterable[Any] = list(node) if isinstance(node, DictConfig) else range(len(node))
    for name in names:
        key = f"{prefix}{name}"
        if OmegaConf.is_interpolation(node, name):
            yield key, partial(node.__getitem__, name)
        elif not OmegaConf.is_missing(node, name) and OmegaConf.is_config(node[name]):
            yield from _interpolations(node[name], f"{key}.")
