"""An image encoder without weights, to see which layers it has before anything is loaded."""

from functools import lru_cache

import torch
from transformers import AutoConfig, AutoModel, PreTrainedModel

from ablate.config.schema import ModelConfig
from ablate.config.schema.encoders import EncoderConfig
from ablate.models.encoders.check import sequence_config
from ablate.models.encoders.sequence import SequenceEncoder
from ablate.models.kinds import read_vision_config


@lru_cache
def encoder_skeleton(model: ModelConfig, encoder: EncoderConfig | None) -> PreTrainedModel:
    """Build the layers of the image encoder that a run trains, on torch's `meta` device.

    Args:
        model: The model, whose own encoder it is where `encoder` is None.
        encoder: An encoder to put under it, or None.

    Returns:
        The encoder with its layers' names, kinds and shapes; it cannot be computed with.

    Raises:
        ConfigError: If there is no such model.
    """
    with torch.device("meta"):
        if encoder is not None:
            return SequenceEncoder(sequence_config(encoder))
        config = AutoConfig.for_model(**read_vision_config(model))
        tower: PreTrainedModel = AutoModel.from_config(config, trust_remote_code=False)
        return tower
