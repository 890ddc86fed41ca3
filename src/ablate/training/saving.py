"""How the state of a stage outlives its process."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ablate.models.vlm import VisionLanguageModel
from ablate.telemetry.interruption import SafePoints


@dataclass(frozen=True)
class Saving:
    """When and how a stage's state is kept.

    Attributes:
        safe_points: When it is saved.
        save: Keeps a state: nested mappings and lists of tensors and plain values.
        saved: What an earlier process has kept of this very stage; None to begin it.
        at_end: Whether it is saved after the last step, too, for what comes after the stage.
    """

    safe_points: SafePoints
    save: Callable[[dict[str, Any]], None]
    saved: Mapping[str, Any] | None
    at_end: bool


def changing(vlm: VisionLanguageModel) -> dict[str, Tensor]:
    """Return all that training changes in a model, and what methods have chosen: what is trained, and every buffer."""
    trained = {name: p for name, p in vlm.named_parameters() if p.requires_grad}
    return {**trained, **dict(vlm.named_buffers())}


@torch.no_grad()
def fill(vlm: VisionLanguageModel, saved: Mapping[str, Tensor]) -> None:
    """Overwrite what training changes in a model.

    Raises:
        ValueError: If what was saved is not of a model like this.
    """
    own = changing(vlm)
    shapes = {name: tensor.shape for name, tensor in own.items()}
    if {name: tensor.shape for name, tensor in saved.items()} != shapes:
        raise ValueError("the saved state is of another model")
    for name, tensor in saved.items():
        own[name].copy_(tensor)
