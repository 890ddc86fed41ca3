"""LN: train the image encoder's LayerNorm weights and biases, nothing else."""

from torch import nn

from ablate.methods.full import Full
from ablate.models.vlm import VisionLanguageModel


class LayerNorm(Full):
    """Tuning of every LayerNorm in the image encoder."""

    def select(self, vlm: VisionLanguageModel) -> dict[str, nn.Parameter]:
        """Name the weights and biases of the encoder's LayerNorms."""
        norms = [
            module for module in vlm.vision_tower.modules() if isinstance(module, nn.LayerNorm)
        ]
        own = {id(parameter) for norm in norms for parameter in norm.parameters()}
        return {name: p for name, p in super().select(vlm).items() if id(p) in own}
