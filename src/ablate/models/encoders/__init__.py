"""Image encoders by configuration; importing this lets transformers load a LLaVA that was saved with one."""

from transformers import AutoConfig, AutoModel

from ablate.models.encoders.configuration import SequenceEncoderConfig
from ablate.models.encoders.sequence import SequenceEncoder

AutoConfig.register(SequenceEncoderConfig.model_type, SequenceEncoderConfig, exist_ok=True)
AutoModel.register(SequenceEncoderConfig, SequenceEncoder, exist_ok=True)

__all__ = ["SequenceEncoder", "SequenceEncoderConfig"]
