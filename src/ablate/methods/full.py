"""Train the own weights of a part of the model: all of them (F-FT)."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ablate.methods.base import Method, Session
from ablate.models.parts import part_of
from ablate.models.vlm import VisionLanguageModel


class Full(Method):
    """Full fine-tuning of one part of the model; subclasses train fewer weights or add a penalty.

    Weights that are stored in half precision are trained in float32 and rounded back by `merge`.
    """

    def __init__(self, part: str, learning_rate_scale: float) -> None:
        """Train a part.

        Args:
            part: A key of `PART_PATHS`.
            learning_rate_scale: Factor on the learning rate of the training recipe.
        """
        self.learning_rate_scale = learning_rate_scale
        self._part = part
        self._trained: dict[str, nn.Parameter] = {}
        self._stored_types: dict[str, torch.dtype] = {}
        self._statistics: dict[str, Tensor] = {}

    def parts(self) -> frozenset[str]:
        """Return the part."""
        return frozenset({self._part})

    def select(self, vlm: VisionLanguageModel) -> dict[str, nn.Parameter]:
        """Name the weights to train by their path in `vlm`."""
        return {name: p for name, p in vlm.named_parameters() if part_of(name) == self._part}

    def make_trainable(self, vlm: VisionLanguageModel, session: Session) -> None:
        """Make the selected weights trainable."""
        del session
        self._trained = self.select(vlm)
        self._stored_types = {name: p.dtype for name, p in self._trained.items()}
        for parameter in self._trained.values():
            parameter.data = parameter.data.float()
            parameter.requires_grad_(True)
        self._statistics = _trained_statistics(vlm, self._trained)

    def update(self) -> dict[str, Tensor]:
        """Return the trained weights themselves, by their path in the model, on the CPU.

        With them come the statistics of trained BatchNorms, which training moves too. They take no
        more room than their change would, and `load_state_dict(..., strict=False)` on the base
        model restores them exactly.
        """
        moved = {**self._trained, **self._statistics}
        return {name: tensor.detach().to("cpu", copy=True) for name, tensor in moved.items()}

    def load(self, vlm: VisionLanguageModel, update: Mapping[str, Tensor], seed: int) -> None:
        """Overwrite the trained weights."""
        del seed
        own = {**dict(vlm.named_parameters()), **dict(vlm.named_buffers())}
        for name, tensor in update.items():
            own[name].data.copy_(tensor)

    def merge(self) -> None:
        """Freeze the weights, which are the model's own, and give them back their type."""
        for name, parameter in self._trained.items():
            parameter.requires_grad_(False)
            parameter.data = parameter.data.to(self._stored_types[name])
        self._trained = {}
        self._statistics = {}


def _trained_statistics(model: nn.Module, trained: Mapping[str, nn.Parameter]) -> dict[str, Tensor]:
    """Return the running mean and variance of every BatchNorm with a trained weight, by path."""
    own = {id(parameter) for parameter in trained.values()}
    return {
        f"{path}.{name}": buffer
        for path, module in model.named_modules()
        if isinstance(module, _BatchNorm) and own & {id(p) for p in module.parameters()}
        for name, buffer in module.named_buffers(recurse=False)
        if name.startswith("running_")
    }
