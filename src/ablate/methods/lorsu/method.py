"""LoRSU as a method of the runner: on the image encoder that LLaVA and CLIP share."""

from abc import abstractmethod

from torch import nn

from ablate.config.errors import ConfigError
from ablate.config.schema import LorsuMethod, LossName, SpuMethod
from ablate.methods.base import Session, Setting
from ablate.methods.lorsu import LorsuConfig, importance_parameters, select
from ablate.methods.lorsu.architecture import find_tower
from ablate.methods.peft_method import PeftMethod
from ablate.models.vlm import VisionLanguageModel


class LorsuFamily(PeftMethod):
    """What trains chosen heads and chosen entries of one stack of blocks."""

    @abstractmethod
    def lorsu_config(self, vlm: VisionLanguageModel, seed: int) -> LorsuConfig:
        """Describe the adapter; `seed` is that of a random choice and of the initialisation."""

    def check_model(self, setting: Setting) -> None:
        """Check that the model has the blocks, the heads and the layers that are adapted."""
        find_tower(setting.vlm, self.lorsu_config(setting.vlm, seed=0))

    def adapter_config(self, vlm: VisionLanguageModel, session: Session) -> LorsuConfig:
        """Describe the adapter."""
        return self.lorsu_config(vlm, session.seed)

    def importance_parameters(self, vlm: VisionLanguageModel) -> dict[str, nn.Parameter]:
        """Name q, k, v and the first MLP weight of every adapted block, if anything is ranked by gradient."""
        config = self.lorsu_config(vlm, seed=0)
        return importance_parameters(vlm, config) if config.selection == "gradient" else {}

    def measure(self, session: Session) -> None:
        """Choose heads and entries."""
        select(self.peft_model, session.gradients)


class EncoderLorsuFamily(LorsuFamily):
    """What adapts the image encoder's blocks."""

    _config: LorsuMethod | SpuMethod

    def parts(self) -> frozenset[str]:
        """Return the image encoder."""
        return frozenset({"encoder"})

    def check_model(self, setting: Setting) -> None:
        """Check that the image encoder is one stack of attention blocks with heads enough."""
        self.check_heads(setting, _n_heads(setting, self._config.name))
        super().check_model(setting)

    def check_heads(self, setting: Setting, n_heads: int) -> None:
        """Check the number of heads to be chosen; none is by default."""
        del setting, n_heads


class Lorsu(EncoderLorsuFamily):
    """LoRSU in the variant that belongs to the loss."""

    def __init__(self, config: LorsuMethod, loss: LossName) -> None:
        self.learning_rate_scale = config.learning_rate_scale
        self._config: LorsuMethod = config
        self._variant = config.variants[loss]

    def parts(self) -> frozenset[str]:
        """Return the image encoder, and CLIP's projection where the variant trains it."""
        projection = {"visual_projection"} if self._variant.visual_projection else set()
        return super().parts() | projection

    def check_heads(self, setting: Setting, n_heads: int) -> None:
        """Check that a block has as many heads as are chosen."""
        if self._config.top_k_heads > n_heads:
            raise ConfigError(
                f"{setting.key}.top_k_heads is {self._config.top_k_heads}, but the image encoder of "
                f"'{setting.encoder}' has {n_heads} heads; allowed: 0 to {n_heads}. "
                f"Fix: {setting.key}.top_k_heads={n_heads}."
            )

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


def _n_heads(setting: Setting, method: str) -> int:
    """Return how many heads a block of the image encoder has.

    Raises:
        ConfigError: If the encoder has no attention, or several stacks of it.
    """
    vision = setting.vlm.vision_config
    n_heads = getattr(vision, "num_attention_heads", None)
    if n_heads is not None:
        return int(n_heads)
    if setting.is_own_encoder:
        raise ConfigError(
            f"The image encoder of model '{setting.encoder}' is not one stack of attention blocks, so it has no "
            "heads to choose. Fix: method=full or method=frozen, or another model."
        )
    raise ConfigError(
        f"method is '{method}', which needs one stack of attention blocks, but encoder '{setting.encoder}' has "
        f"{vision.n_attention_stacks or 'none'}. Fix: method=full, or encoder=tiny-siglip."
    )
