"""LoRSU-L: LoRSU's rule on the language model, with the image encoder frozen."""

from ablate.config.schema import LorsuLMethod
from ablate.methods.lorsu import LorsuConfig
from ablate.methods.lorsu.method import LorsuFamily
from ablate.models.vlm import VisionLanguageModel


class LorsuL(LorsuFamily):
    """Heads and `up_proj` entries in the last blocks of the language model (arXiv 2502.04098)."""

    def __init__(self, config: LorsuLMethod) -> None:
        self.learning_rate_scale = config.learning_rate_scale
        self._config = config

    def parts(self) -> frozenset[str]:
        """Return the language model."""
        return frozenset({"language_model"})

    def lorsu_config(self, vlm: VisionLanguageModel, seed: int) -> LorsuConfig:
        """Describe the adapter on the language model, which has no biases to train."""
        del vlm
        return LorsuConfig(
            r=self._config.rank,
            alpha=self._config.alpha,
            top_k_heads=self._config.top_k_heads,
            sparsity=self._config.sparsity,
            train_fc1_bias=False,
            blocks=self._config.blocks,
            blocks_from="last",
            tower="language_model",
            selection=self._config.selection,
            selection_seed=seed,
            init_seed=seed,
        )
