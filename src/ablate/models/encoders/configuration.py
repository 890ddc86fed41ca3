"""The configuration that a `SequenceEncoder` is saved with."""

from typing import Any

from transformers import PreTrainedConfig


class SequenceEncoderConfig(PreTrainedConfig):
    """Everything that a `SequenceEncoder` is built from, in the form of a transformers config.

    Attributes:
        parts: One mapping per vision model: `config` (its own configuration with its `model_type`), `layer`,
            `prefix_tokens`, `pixel_mean` and `pixel_std` (how it wants its pixels normalised). Pixels reach the encoder
            in the normalisation of the first part.
        hidden_size: Width of the features: the sum over the parts, or 3 * patch_size ** 2 for raw patches.
        image_size: Side in pixels of the square image that it takes.
        patch_size: Side in pixels of what one feature stands for: `image_size // patch_size` features per row.
        n_tokens: Length of the sequence.
        num_attention_heads: Heads of a block where there is one stack of attention blocks, else None.
        n_attention_stacks: Parts that are a stack of attention blocks.
        n_blocks_read: Blocks that the features come through where there is one stack, else None.
    """

    model_type = "ablate_encoder"

    parts: list[dict[str, Any]] | None = None
    hidden_size: int = 0
    image_size: int = 0
    patch_size: int = 0
    n_tokens: int = 0
    num_attention_heads: int | None = None
    n_attention_stacks: int = 0
    n_blocks_read: int | None = None
