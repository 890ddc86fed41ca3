"""Train the image encoder's own weights: all of them (F-FT)."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ablate.config.schema import EwcMethod, FullMethod, LayerNormMethod
from ablate.methods.base import Method, Session
from ablate.models.vlm import VisionLanguageModel


class Full(Method):
    """Full fine-tuning of the image encoder; subclasses train fewer weights or add a penalty.

    Weights that are stored in half precision are trained in float32 and rounded back by `merge`.
    """

    def __init__(self, config: FullMethod | LayerNormMethod | EwcMethod) -> None:
        self.learning_rate_scale = config.learning_rate_scale
        self._trained: dict[str, nn.Parameter] = {}
        self._stored_types: dict[str, torch.dtype] = {}

    def select(self, vlm: VisionLanguageModel) -> dict[str, nn.Parameter]:
        """Name the weights to train by their path in `vlm`."""
        encoder = {id(parameter) for parameter in vlm.vision_tower.parameters()}
        return {name: p for name, p in vlm.named_parameters() if id(p) in encoder}

    def attach(self, vlm: VisionLanguageModel, session: Session) -> None:
        """Make the selected weights trainable."""
        del session
        self._trained = self.select(vlm)
        self._stored_types = {name: p.dtype for name, p in self._trained.items()}
        for parameter in self._trained.values():
            parameter.data = parameter.data.float()
            parameter.requires_grad_(True)

    def update(self) -> dict[str, Tensor]:
        """Return the trained weights themselves, by their path in the model, on the CPU.

        They take no more room than their change would, and `load_state_dict(..., strict=False)` of
        the untouched model restores them exactly.
        """
        return {name: p.detach().to("cpu", copy=True) for name, p in self._trained.items()}

    def load(self, vlm: VisionLanguageModel, update: Mapping[str, Tensor], seed: int) -> None:
        """Overwrite the trained weights."""
        del seed
        for name, tensor in update.items():
            vlm.get_parameter(name).data.copy_(tensor)

    def merge(self) -> None:
        """Freeze the weights, which are the model's own, and give them back their type."""
        for name, parameter in self._trained.items():
            parameter.requires_grad_(False)
            parameter.data = parameter.data.to(self._stored_types[name])
        self._trained = {}
