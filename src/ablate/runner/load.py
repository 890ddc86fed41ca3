"""A run's model as it is before training."""

from ablate.config.schema import RunConfig
from ablate.models.assemble import assemble
from ablate.models.compute import Compute
from ablate.models.loading import load_model
from ablate.models.vlm import VisionLanguageModel


def load_vlm(config: RunConfig, compute: Compute) -> VisionLanguageModel:
    """Load a run's base model, its own encoder replaced where the run says so."""
    if config.encoder is None:
        return load_model(config.model, compute)
    return assemble(config.encoder, config.model, compute, config.seed)
