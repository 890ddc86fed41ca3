"""The method interface: hooks around a training loop that is independent of the method."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

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

    @classmethod
    def without_data(cls, seed: int) -> Self:
        """Return the session of a method that is made trainable, but never trained."""

        def no_loss(indices: Tensor) -> Tensor:
            raise RuntimeError(
                f"There is no data here, but a loss of {len(indices)} examples was requested."
            )

        return cls(no_loss, n_examples=0, total_steps=2, gradients={}, seed=seed)


@dataclass(frozen=True)
class Setting:
    """What a method has to fit, known before any weight is loaded.

    Attributes:
        vlm: The model without weights, on torch's `meta` device; not to be changed.
        encoder: Name of the image encoder, or of the model whose own it is, for an error's text.
        is_own_encoder: Whether the encoder is the model's own.
        key: The configuration key that the method is given in, for an error's text.
    """

    vlm: VisionLanguageModel
    encoder: str
    is_own_encoder: bool
    key: str = field(default="method")


class Method(ABC):
    """One way to adapt a vision-language model.

    One object lives through all sessions of a run. Every session calls `importance_parameters`,
    `attach`, then training with `penalty` and `after_step`, then `update` and `merge`. A session
    starts from a model whose parameters are all frozen. `parts`, `check` and `check_model` answer
    before there is one.

    Attributes:
        learning_rate_scale: Factor on the learning rate of the training recipe.
    """

    learning_rate_scale: float = 1.0

    @abstractmethod
    def parts(self) -> frozenset[str]:
        """Return the parts that it trains: keys of `PART_PATHS`, and CLIP's `visual_projection`."""

    def check(self, key: str = "method") -> None:
        """Check the method by itself.

        Args:
            key: The configuration key that it is given in, for the error's text.

        Raises:
            ConfigError: If its configuration does not fit any model.
        """
        del key

    def check_model(self, setting: Setting) -> None:
        """Check the method against a model.

        Raises:
            ConfigError: If the model lacks what is to be trained.
        """
        del setting

    def check_steps(self, total_steps: int, key: str = "method") -> None:
        """Check that a training is long enough for the method.

        Args:
            total_steps: Optimiser steps of a stage.
            key: The configuration key that the method is given in, for the error's text.

        Raises:
            ConfigError: If it is not.
        """
        del total_steps, key

    def importance_parameters(self, vlm: VisionLanguageModel) -> dict[str, nn.Parameter]:
        """Name the weights whose mean gradient `attach` wants; none by default."""
        del vlm
        return {}

    def attach(self, vlm: VisionLanguageModel, session: Session) -> None:
        """Make exactly the trained parameters require a gradient; the model's outputs do not change.

        Trained parameters are of float32, whatever the type of the frozen ones.

        Args:
            vlm: The model, all frozen.
            session: What it is about to be trained on.
        """
        self.make_trainable(vlm, session)
        self.measure(session)

    @abstractmethod
    def make_trainable(self, vlm: VisionLanguageModel, session: Session) -> None:
        """Do the part of `attach` that needs no data: a model without weights will do, too.

        Args:
            vlm: The model, all frozen.
            session: Its loss and its gradients are left alone.
        """

    def measure(self, session: Session) -> None:
        """Do the rest of `attach`, with the session's loss and gradients; nothing by default."""
        del session

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

    def state_dict(self) -> dict[str, Any]:
        """Return what the next step depends on besides the model's parameters and buffers; nothing by default.

        Nested mappings and lists of tensors and plain values.
        """
        return {}

    def load_state_dict(self, state: Mapping[str, Any], session: Session) -> None:
        """Go on where `state_dict` was taken; parameters and buffers are the same again.

        Args:
            state: Of a method that was attached to the same model for the same session.
            session: What is trained on; its gradients are left alone.
        """
        del state, session

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
