"""A `SequenceEncoder` with the trained weights of its parts."""

import torch
from transformers import PreTrainedModel

from ablate.config.schema.encoders import EncoderConfig, EncoderPart
from ablate.models.encoders.check import vision_config
from ablate.models.encoders.configuration import SequenceEncoderConfig
from ablate.models.encoders.sequence import SequenceEncoder, without_pooler
from ablate.models.weights import VISION, load_weights


def load_encoder(config: EncoderConfig, built_from: SequenceEncoderConfig) -> SequenceEncoder:
    """Load the parts of an encoder, in float32: it is small, and what training merges into must not be rounded.

    Args:
        config: Which parts.
        built_from: The configuration that the encoder keeps.

    Raises:
        ConfigError: If a part's files do not hold it.
    """
    with torch.device("meta"):
        encoder = SequenceEncoder(built_from)
    for index, part in enumerate(config.parts):
        encoder.parts[index] = _load_part(part)
    return encoder


def _load_part(part: EncoderPart) -> PreTrainedModel:
    """Load one vision model, also from inside a model of images and texts."""
    model: PreTrainedModel = load_weights(
        VISION, part.source, part.revision, vision_config(part), torch.float32, {}
    )
    return without_pooler(model)
