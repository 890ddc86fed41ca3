"""Train nothing: the zero-shot row of every table."""

from collections.abc import Mapping

from torch import Tensor

from ablate.config.schema import FrozenMethod
from ablate.methods.base import Method
from ablate.models.vlm import VisionLanguageModel


class Frozen(Method):
    """Leave the model as it is."""

    def __init__(self, config: FrozenMethod) -> None:
        del config

    def attach(self, vlm: VisionLanguageModel, gradients: Mapping[str, Tensor], seed: int) -> None:
        """Make nothing trainable."""
        del vlm, gradients, seed

    def update(self) -> dict[str, Tensor]:
        """Return an empty update."""
        return {}

    def merge(self) -> None:
        """Leave the model as it is."""
