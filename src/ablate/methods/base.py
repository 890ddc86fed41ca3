"""What a method is to the runner: hooks around a training loop that knows no method by name."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from ablate.models.vlm import VisionLanguageModel


@dataclass(frozen=True)
class Session:
    """The training that a method is attached for; offline there is one, in continual learning several.

    Attributes:
        loss: Maps int64 indices `[batch]` of training examples to their mean loss, under autocast.
        n_examples: Size of the training set.
        total_steps: Optimiser steps that will be made.
        gradients: Signed mean gradient of each of `importance_parameters`, at the current weights.
        seed: Seed of the initialisation.
    """

    loss: Callable[[Tensor], Tensor]
    n_examples: int
    total_steps: int
    gradients: Mapping[str, Tensor]
    seed: int


class Method(ABC):
    """One way to adapt a vision-language model.

    One object lives through all sessions of a run. Every session calls `importance_parameters`,
    `attach`, then training with `penalty` and `after_step`, then `update` and `merge`. A session
    starts from a model whose parameters are all frozen.

    Attributes:
        learning_rate_scale: Factor on the learning rate of the training recipe.
    """

    learning_rate_scale: float = 1.0

    def importance_parameters(self, vlm: VisionLanguageModel) -> dict[str, nn.Parameter]:
        """Name the weights whose mean gradient `attach` wants; none by default."""
        del vlm
        return {}

    @abstractmethod
    def attach(self, vlm: VisionLanguageModel, session: Session) -> None:
        """Make exactly the trained parameters require a gradient; the model's outputs do not change.

        Trained parameters are of float32, whatever the type of the frozen ones.

        Args:
            vlm: The model, all frozen.
            session: What it is about to be trained on.
        """

    def learning_rate_scale_of(self, path: str) -> float:
        """Return the factor on the learning rate of the trained parameter at `path` in the model."""
        del path
        return self.learning_rate_scale

    def penalty(self) -> Tensor | None:
        """Return what is added to the loss of every step, if anything."""
        return None

    def after_step(self, step: int) -> None:
        """Adjust the update after optimiser step `step`, counted from 0; its gradients still exist."""
        del step

    @abstractmethod
    def update(self) -> dict[str, Tensor]:
        """Return the update alone, by parameter or buffer name, as it goes to adapter.safetensors.

        Later training does not change what was returned.
        """

    @abstractmethod
    def load(self, vlm: VisionLanguageModel, update: Mapping[str, Tensor], seed: int) -> None:
        """Put what `update` returned into a model that is as `attach` found it; `merge` then folds it in.

        Args:
            vlm: The model, all frozen.
            update: Tensors by name.
            seed: Seed that the run had.
        """

    @abstractmethod
    def merge(self) -> None:
        """Fold the update into the model's own weights and leave a plain, frozen model."""
