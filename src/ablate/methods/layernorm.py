"""LN: train the image encoder's LayerNorm weights and biases, nothing else."""

from torch import nn

from ablate.config.errors import ConfigError
from ablate.methods.base import Setting
from ablate.methods.full import Full
from ablate.models.vlm import VisionLanguageModel


class LayerNorm(Full):
    """Tuning of every LayerNorm in the image encoder."""

    def check_model(self, setting: Setting) -> None:
        """Check that the encoder has a LayerNorm."""
        if not any(
            isinstance(module, nn.LayerNorm) for module in setting.vlm.vision_tower.modules()
        ):
            raise ConfigError(
                f"method is 'layernorm', but the image encoder of '{setting.encoder}' has no LayerNorm. "
                "Fix: method=full, or an encoder of attention blocks."
            )

    def select(self, vlm: VisionLanguageModel) -> dict[str, nn.Parameter]:
        """Name the weights and biases of the encoder's LayerNorms."""
        norms = [
            module for module in vlm.vision_tower.modules() if isinstance(module, nn.LayerNorm)
        ]
        own = {id(parameter) for norm in norms for parameter in norm.parameters()}
        return {name: p for name, p in super().select(vlm).items() if id(p) in own}
