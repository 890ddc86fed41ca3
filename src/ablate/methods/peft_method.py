"""What all methods share whose update is a peft adapter."""

from abc import abstractmethod
from collections.abc import Mapping

from peft import PeftConfig, PeftModel, get_peft_model
from peft.utils import get_peft_model_state_dict, set_peft_model_state_dict
from torch import Tensor

from ablate.methods.base import Method, Session
from ablate.models.vlm import VisionLanguageModel


class PeftMethod(Method):
    """A method that wraps layers of the model in an adapter and merges it afterwards."""

    _wrapped: PeftModel | None = None

    @property
    def peft_model(self) -> PeftModel:
        """The model inside its adapter, between `attach` and `merge`."""
        if self._wrapped is None:
            raise RuntimeError(f"{type(self).__name__} is not attached to a model.")
        return self._wrapped

    @abstractmethod
    def adapter_config(self, vlm: VisionLanguageModel, session: Session) -> PeftConfig:
        """Describe the adapter."""

    def attach(self, vlm: VisionLanguageModel, session: Session) -> None:
        """Put the adapter around the model's layers."""
        self._wrapped = get_peft_model(vlm, self.adapter_config(vlm, session))

    def update(self) -> dict[str, Tensor]:
        """Return the adapter's parameters and indices under peft's names, on the CPU."""
        # state_dict() would list every tensor of the image encoder twice: LLaVA and CLIP share it.
        tensors = {
            **dict(self.peft_model.named_parameters()),
            **dict(self.peft_model.named_buffers()),
        }
        adapter = get_peft_model_state_dict(
            self.peft_model, state_dict=tensors, save_embedding_layers=False
        )
        return {name: t.detach().to("cpu", copy=True) for name, t in adapter.items()}

    def load(self, vlm: VisionLanguageModel, update: Mapping[str, Tensor], seed: int) -> None:
        """Put the adapter around the model's layers and fill it."""
        self._wrapped = get_peft_model(vlm, self.adapter_config(vlm, _untrained(seed)))
        set_peft_model_state_dict(self._wrapped, dict(update))

    def merge(self) -> None:
        """Write the adapter's update into the weights it belongs to, and remove it."""
        self.peft_model.merge_and_unload()
        self._wrapped = None


def _untrained(seed: int) -> Session:
    """Return a session for an adapter that is filled from a file instead of being trained."""

    def no_loss(indices: Tensor) -> Tensor:
        raise RuntimeError(
            f"An adapter that is loaded has no loss, asked for {len(indices)} examples."
        )

    return Session(no_loss, n_examples=0, total_steps=2, gradients={}, seed=seed)
