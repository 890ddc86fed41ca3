"""Which linear layers a low-rank adapter is put on, by part of the model."""

import re
from collections.abc import Sequence
from dataclasses import asdict

from torch import nn

from ablate.config.errors import ConfigError, unknown
from ablate.config.schema import TargetModules
from ablate.models.vlm import VisionLanguageModel

PART_PATHS = {
    "encoder": "llava.model.vision_tower",
    "projector": "llava.model.multi_modal_projector",
    "language_model": "llava.model.language_model",
}
"""Where LLaVA keeps its parts; CLIP's text tower, whose layers share their names, is in none."""

_HEAD_PATH = "llava.lm_head"


def part_of(path: str) -> str | None:
    """Return the part of the model that a parameter belongs to by its path; None for one of CLIP's own.

    The output layer counts as the language model's, as it does where both share their weights.
    """
    for part, prefix in (*PART_PATHS.items(), ("language_model", _HEAD_PATH)):
        if path.startswith(f"{prefix}."):
            return part
    return None


def check_targets(module: nn.Module, part: str, names: Sequence[str]) -> None:
    """Check that a part of the model has the linear layers that are to get an adapter.

    Args:
        module: The part, with or without weights.
        part: A key of `PART_PATHS`.
        names: Last names of layers.

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
            f"method.target_modules.{part} is {', '.join(names)}, but there is no linear layer. "
            f"Fix: method=full, or another {part}."
        )
    for name in names:
        if name not in available:
            raise unknown(f"layer in method.target_modules.{part}", name, available)


def target_pattern(vlm: VisionLanguageModel, targets: TargetModules) -> str:
    """Return the regular expression that matches the path of every targeted layer in full.

    Raises:
        ConfigError: If a part of the model has no linear layer of a given name.
    """
    patterns = []
    for part, names in asdict(targets).items():
        check_targets(vlm.get_submodule(PART_PATHS[part]), part, names)
        if names:
            choices = "|".join(re.escape(name) for name in names)
            patterns.append(rf"{re.escape(PART_PATHS[part])}\.(.*\.)?({choices})")
    return "|".join(patterns)
