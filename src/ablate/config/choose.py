"""`${choose:KEY,{A: x, B: y, else: z}}` in YAML: a value that follows another one, such as the optimiser the loss."""

from collections.abc import Mapping

from omegaconf import OmegaConf


def choose(key: object, options: Mapping[object, object] | None) -> object:
    """Return the option of that key, or that of `else`; None without either, refused where a value is needed."""
    return None if options is None else options.get(key, options.get("else"))


def register() -> None:
    """Teach OmegaConf `choose`; every module of the config boundary is imported after it."""
    OmegaConf.register_new_resolver("choose", choose, replace=True)
