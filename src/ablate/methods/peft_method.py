"""What all methods share whose update is a peft adapter."""

from abc import abstractmethod
from collections.abc import Mapping

from peft import PeftConfig, PeftModel, get_peft_model
from peft.utils import get_peft_model_state_dict, set_peft_model_state_dict
from torch import Tensor

from ablate.config.errors import ConfigError
from ablate.config.schema import LoraMethod, PeftTunerMethod
from ablate.methods.base import Method, Session, Setting
from ablate.methods.targets import check_targets, layers_by_part
from ablate.models.parts import PART_PATHS
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

    def make_trainable(self, vlm: VisionLanguageModel, session: Session) -> None:
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
            self.peft_model,
            state_dict={**tensors, **_shared(self.peft_model)},
            save_embedding_layers=False,
        )
        return {name: t.detach().to("cpu", copy=True) for name, t in adapter.items()}

    def load(self, vlm: VisionLanguageModel, update: Mapping[str, Tensor], seed: int) -> None:
        """Put the adapter around the model's layers and fill it."""
        self.make_trainable(vlm, Session.without_data(seed))
        set_peft_model_state_dict(self.peft_model, dict(update))

    def merge(self) -> None:
        """Write the adapter's update into the weights it belongs to, and remove it."""
        self.peft_model.merge_and_unload()
        self._wrapped = None


class TargetedPeftMethod(PeftMethod):
    """A method that wraps the linear layers that its configuration names."""

    def __init__(self, config: LoraMethod | PeftTunerMethod) -> None:
        """Read the layers and the learning rate's scale."""
        self.learning_rate_scale = config.learning_rate_scale
        self._targets = config.target_modules
        self._name = config.name

    def parts(self) -> frozenset[str]:
        """Return the parts with a targeted layer."""
        return frozenset(layers_by_part(self._targets))

    def check(self, key: str = "method") -> None:
        """Check that there is a layer to train."""
        if not self.parts():
            raise ConfigError(
                f"{key}.target_modules of method '{self._name}' names no layer to train. "
                f"Fix: {key}.target_modules.{'encoder' if key == 'method' else 'language_model'}=[q_proj,v_proj]."
            )

    def check_model(self, setting: Setting) -> None:
        """Check that the model has every targeted layer."""
        for part, names in layers_by_part(self._targets).items():
            check_targets(setting.vlm.get_submodule(PART_PATHS[part]), part, names, setting.key)


def _shared(model: PeftModel) -> dict[str, Tensor]:
    """Return what all layers of an adapter share, under the name of the one place that peft loads it from.

    Each layer refers to it, and torch names a tensor after the first place where it finds it.
    """
    tuner = model.base_model
    named = [
        *tuner.named_parameters(remove_duplicate=False),
        *tuner.named_buffers(remove_duplicate=False),
    ]
    return {f"base_model.{name}": t for name, t in named if not name.startswith("model.")}
