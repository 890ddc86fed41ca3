"""LoRA on the image encoder, by peft (Hu et al., arXiv 2106.09685)."""

from collections.abc import Mapping

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.utils import get_peft_model_state_dict
from torch import Tensor

from ablate.config.schema import LoraMethod
from ablate.methods.base import Method
from ablate.models.vlm import VisionLanguageModel

VISION_TOWER = r"llava\.model\.vision_tower\."


class Lora(Method):
    """peft's LoRA on the linear layers of the image encoder."""

    def __init__(self, config: LoraMethod) -> None:
        self._config = config
        self._peft_model: PeftModel | None = None

    def attach(self, vlm: VisionLanguageModel, gradients: Mapping[str, Tensor], seed: int) -> None:
        """Add the low-rank pairs; the second of each is zero."""
        del gradients
        torch.manual_seed(seed)
        names = "|".join(self._config.target_modules)
        self._peft_model = get_peft_model(
            vlm,
            LoraConfig(
                r=self._config.rank,
                lora_alpha=self._config.alpha,  # type: ignore[arg-type]
                target_modules=rf"{VISION_TOWER}.*\.({names})",
            ),
        )

    def update(self) -> dict[str, Tensor]:
        """Return the low-rank pairs."""
        assert self._peft_model is not None
        return dict(get_peft_model_state_dict(self._peft_model))

    def merge(self) -> None:
        """Add the low-rank products onto the encoder's weights."""
        assert self._peft_model is not None
        self._peft_model.merge_and_unload()
        self._peft_model = None
