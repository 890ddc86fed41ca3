"""`${choose:KEY,{A: x, B: y}}` in YAML: a value that follows another one, such as the optimiser the loss."""

from collections.abc import Mapping

from omegaconf import OmegaConf


def choose(key: object, options: Mapping[object, object]) -> object:
    """Return the option of that key; None without one, which is then refused like any wrong value."""
    return options.get(key)


def register() -> None:
    """Teach OmegaConf `choose`; every module of the config boundary is imported after it."""
    OmegaConf.register_new_resolver("choose", choose, replace=True)
