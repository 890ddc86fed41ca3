"""A `SequenceEncoder` with the trained weights of its parts."""

import torch
from transformers import AutoModel, PreTrainedModel

from ablate.config.errors import ConfigError
from ablate.config.schema.encoders import EncoderConfig, EncoderPart
from ablate.models.encoders.check import vision_config
from ablate.models.encoders.configuration import SequenceEncoderConfig
from ablate.models.encoders.sequence import SequenceEncoder, without_pooler
from ablate.models.files import locate


def load_encoder(config: EncoderConfig, built_from: SequenceEncoderConfig) -> SequenceEncoder:
    """Load the parts of an encoder, in float32: it is small, and what training merges into must not be rounded.

    Args:
        config: Which parts.
        built_from: The configuration that the encoder keeps.

    Raises:
        ConfigError: If a weight of a part is in none of its files.
    """
    with torch.device("meta"):
        encoder = SequenceEncoder(built_from)
    for index, part in enumerate(config.parts):
        encoder.parts[index] = _load_part(part)
    return encoder


def _load_part(part: EncoderPart) -> PreTrainedModel:
    """Load one vision model, also from inside a model of images and texts."""
    model, report = AutoModel.from_pretrained(
        locate(part.source),
        config=vision_config(part),
        revision=part.revision or "main",
        dtype=torch.float32,
        use_safetensors=True,
        output_loading_info=True,
    )
    read = dict(without_pooler(model).named_parameters())
    missing = sorted(name for name in report["missing_keys"] if name in read)
    if missing:
        kind = type(model).__name__
        raise ConfigError(
            f"Vision model '{part.source}' holds no weights for {len(missing)} parameters of a {kind}, among them "
            f"'{missing[0]}'. Fix: give the folder or hub id that the {kind} was saved in."
        )
    loaded: PreTrainedModel = model
    return loaded
