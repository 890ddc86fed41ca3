"""LoRSU as a method of the runner: on the image encoder that LLaVA and CLIP share."""

from abc import abstractmethod

from torch import nn

from ablate.config.schema import LorsuMethod, LossName
from ablate.methods.base import Session
from ablate.methods.lorsu import LorsuConfig, importance_parameters, select
from ablate.methods.peft_method import PeftMethod
from ablate.models.vlm import VisionLanguageModel


class LorsuFamily(PeftMethod):
    """What trains chosen heads and chosen entries of one stack of blocks."""

    @abstractmethod
    def lorsu_config(self, vlm: VisionLanguageModel, seed: int) -> LorsuConfig:
        """Describe the adapter; `seed` is that of a random choice and of the initialisation."""

    def adapter_config(self, vlm: VisionLanguageModel, session: Session) -> LorsuConfig:
        """Describe the adapter."""
        return self.lorsu_config(vlm, session.seed)

    def importance_parameters(self, vlm: VisionLanguageModel) -> dict[str, nn.Parameter]:
        """Name q, k, v and the first MLP weight of every adapted block, if anything is ranked by gradient."""
        config = self.lorsu_config(vlm, seed=0)
        return importance_parameters(vlm, config) if config.selection == "gradient" else {}

    def attach(self, vlm: VisionLanguageModel, session: Session) -> None:
        """Choose heads and entries, and make their update trainable."""
        super().attach(vlm, session)
        select(self.peft_model, session.gradients)


class Lorsu(LorsuFamily):
    """LoRSU in the variant that belongs to the loss."""

    def __init__(self, config: LorsuMethod, loss: LossName) -> None:
        self.learning_rate_scale = config.learning_rate_scale
        self._config = config
        self._variant = config.variants[loss]

    def lorsu_config(self, vlm: VisionLanguageModel, seed: int) -> LorsuConfig:
        """Describe the adapter on the image encoder."""
        variant = self._variant
        return LorsuConfig(
            r=self._config.rank,
            alpha=self._config.alpha,
            top_k_heads=self._config.top_k_heads,
            sparsity=self._config.sparsity,
            fused_qkv=variant.fused_qkv,
            init_side=variant.init_side,
            train_qkv_bias=variant.train_qkv_bias,
            train_fc1_bias=variant.train_fc1_bias,
            projections=["visual_projection"] if variant.visual_projection else [],
            blocks=vlm.n_blocks_read if variant.blocks == "read" else None,
            tower="vision_tower",
            selection=self._config.selection,
            selection_seed=seed,
            init_seed=seed,
        )
