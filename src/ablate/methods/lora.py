"""LoRA and DoRA, by peft, on the linear layers of any part of the model."""

import torch
from peft import LoraConfig

from ablate.config.schema import LoraMethod
from ablate.methods.base import Session
from ablate.methods.peft_method import TargetedPeftMethod
from ablate.methods.targets import target_pattern
from ablate.models.vlm import VisionLanguageModel


class Lora(TargetedPeftMethod):
    """dW = (alpha / rank) * B A, with B zero at first (Hu et al., arXiv 2106.09685).

    Weight-decomposed (DoRA, Liu et al., arXiv 2402.09353), the sum W + dW is scaled to row norms
    that are trained too and start at those of W.
    """

    def __init__(self, config: LoraMethod, weight_decomposed: bool) -> None:
        super().__init__(config)
        self._config = config
        self._weight_decomposed = weight_decomposed

    def adapter_config(self, vlm: VisionLanguageModel, session: Session) -> LoraConfig:
        """Describe the low-rank pairs; A is drawn from torch's generator at the session's seed."""
        torch.manual_seed(session.seed)
        return LoraConfig(
            r=self._config.rank,
            lora_alpha=self._config.alpha,  # type: ignore[arg-type]
            use_dora=self._weight_decomposed,
            target_modules=target_pattern(vlm, self._config.target_modules),
        )
