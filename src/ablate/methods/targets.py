"""Which linear layers a low-rank adapter is put on, by part of the model."""

import re
from collections.abc import Sequence
from dataclasses import asdict

from torch import nn

from ablate.config.errors import ConfigError, unknown
from ablate.config.schema import TargetModules
from ablate.models.parts import PART_PATHS
from ablate.models.vlm import VisionLanguageModel


def check_targets(module: nn.Module, part: str, names: Sequence[str], key: str = "method") -> None:
    """Check that a part of the model has the linear layers that are to get an adapter.

    Args:
        module: The part, with or without weights.
        part: A key of `PART_PATHS`.
        names: Last names of layers.
        key: The configuration key of the method, for the error's text.

    Raises:
        ConfigError: If it has no linear layer of a given name.
    """
    available = {
        path.rpartition(".")[2]
        for path, layer in module.named_modules()
        if isinstance(layer, nn.Linear)
    }
    if names and not available:
        raise ConfigError(
            f"{key}.target_modules.{part} is {', '.join(names)}, but there is no linear layer. "
            f"Fix: method=full, or another {part}."
        )
    for name in names:
        if name not in available:
            raise unknown(f"layer in {key}.target_modules.{part}", name, available)


def layers_by_part(targets: TargetModules) -> dict[str, tuple[str, ...]]:
    """Return the last names of the targeted layers of every part that has any."""
    return {part: names for part, names in asdict(targets).items() if names}


def target_pattern(vlm: VisionLanguageModel, targets: TargetModules) -> str:
    """Return the regular expression that matches the path of every targeted layer in full.

    Raises:
        ConfigError: If a part of the model has no linear layer of a given name.
    """
    patterns = []
    for part, names in layers_by_part(targets).items():
        check_targets(vlm.get_submodule(PART_PATHS[part]), part, names)
        choices = "|".join(re.escape(name) for name in names)
        patterns.append(rf"{re.escape(PART_PATHS[part])}\.(.*\.)?({choices})")
    return "|".join(patterns)
