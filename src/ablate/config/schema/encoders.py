"""Image encoders: transformers vision models by name, read at a layer, alone or fused."""

from pydantic.dataclasses import dataclass

from ablate.config.schema.fields import CLOSED, NonNegativeInt, PositiveInt


@dataclass(frozen=True, config=CLOSED)
class EncoderPart:
    """One vision model of transformers.

    Attributes:
        source: Folder or hub id of a vision model, or of a model that holds one, such as a whole CLIP; `tiny:` prefixes
            a folder of the package.
        revision: Hub revision, or None for the latest.
        layer: Hidden state that is read, as in `hidden_states[layer]`: -1 is the last, -2 the last but one.
        prefix_tokens: Class and register tokens in front of the patches; they are left out of the sequence.
    """

    source: str
    revision: str | None
    layer: int
    prefix_tokens: NonNegativeInt


@dataclass(frozen=True, config=CLOSED)
class EncoderConfig:
    """What turns an image into the sequence of features that a fresh projector reads.

    Attributes:
        name: Name in the tables.
        parts: The vision models; several are fused on the channel axis, none leaves the raw pixels of each patch.
        image_size: Side in pixels of the image that all parts see; None for what the preprocessing of the first part
            says. Raw patches need a number.
        patch_size: Side in pixels of a raw patch; None where there are parts.
    """

    name: str
    parts: tuple[EncoderPart, ...]
    image_size: PositiveInt | None
    patch_size: PositiveInt | None
