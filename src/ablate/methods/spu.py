"""SPU: the sparse update of the first MLP layers alone."""

from ablate.config.schema import LossName, SpuMethod
from ablate.methods.lorsu import LorsuConfig
from ablate.methods.lorsu.method import EncoderLorsuFamily
from ablate.models.vlm import VisionLanguageModel


class Spu(EncoderLorsuFamily):
    """Train the entries of fc1 with the largest mean gradient (Zhang et al., arXiv 2308.12462)."""

    def __init__(self, config: SpuMethod, loss: LossName) -> None:
        self.learning_rate_scale = config.learning_rate_scale
        self._config = config
        self._blocks = config.blocks[loss]

    def lorsu_config(self, vlm: VisionLanguageModel, seed: int) -> LorsuConfig:
        """Describe LoRSU on the image encoder without heads and biases."""
        return LorsuConfig(
            top_k_heads=0,
            sparsity=self._config.sparsity,
            train_qkv_bias=False,
            train_fc1_bias=False,
            blocks=vlm.n_blocks_read if self._blocks == "read" else None,
            tower="vision_tower",
            init_seed=seed,
        )
