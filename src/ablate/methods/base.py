"""What a method is to the runner: hooks around a training loop that knows no method by name."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor, nn

from ablate.models.vlm import VisionLanguageModel


class Method(ABC):
    """One way to adapt a vision-language model.

    Every continual-learning session calls `importance_parameters`, `attach`, then training with
    `penalty` and `after_step`, then `update` and `merge`. A method starts from a model whose
    parameters are all frozen.
    """

    def importance_parameters(self, vlm: VisionLanguageModel) -> dict[str, nn.Parameter]:
        """Name the weights whose mean gradient `attach` wants; none by default."""
        del vlm
        return {}

    @abstractmethod
    def attach(self, vlm: VisionLanguageModel, gradients: Mapping[str, Tensor], seed: int) -> None:
        """Make exactly the trained parameters require a gradient; the model's outputs do not change.

        Args:
            vlm: The model, all frozen.
            gradients: Signed mean gradient of each of `importance_parameters`, at the current weights.
            seed: Seed of the initialisation.
        """

    def penalty(self) -> Tensor | None:
        """Return what is added to the loss of every step, if anything."""
        return None

    def after_step(self, step: int) -> None:
        """Adjust the update after optimiser step `step`, counted from 0."""
        del step

    @abstractmethod
    def update(self) -> dict[str, Tensor]:
        """Return the update alone, by parameter or buffer name, as it goes to adapter.safetensors."""

    @abstractmethod
    def merge(self) -> None:
        """Fold the update into the model's own weights and leave a plain, frozen model."""
