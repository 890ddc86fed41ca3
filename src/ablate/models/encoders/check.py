"""What an encoder will be, known from its configuration files before any weight is loaded."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from math import isqrt
from typing import Any

import torch
from transformers import PreTrainedConfig, PreTrainedModel

from ablate.config.errors import ConfigError
from ablate.config.schema.encoders import EncoderConfig, EncoderPart
from ablate.models.encoders.configuration import SequenceEncoderConfig
from ablate.models.encoders.preprocessing import image_side, load_preprocessing, normalisation
from ablate.models.encoders.sequence import build_part, hidden_states_of, part_features
from ablate.models.files import check_files, fingerprint, read_config
from ablate.models.pretrained import load_config

_KEYS = "encoder.parts"
# Names of classes and files, and types that the loader chooses: none of them makes it a different model.
_LEFT_OUT = (
    "_name_or_path",
    "architectures",
    "dtype",
    "id2label",
    "label2id",
    "transformers_version",
)


@dataclass(frozen=True)
class EncoderFacts:
    """The numbers of an encoder.

    Attributes:
        n_tokens: Length of the sequence that one image becomes.
        width: Width of its features.
        image_size: Side in pixels of the image.
        n_attention_stacks: Parts that are a stack of attention blocks; what adapts heads needs exactly one.
        n_heads: Heads of a block where there is one such stack, else None.
        n_blocks_read: Blocks that the features come through where there is one such stack, else None.
    """

    n_tokens: int
    width: int
    image_size: int
    n_attention_stacks: int
    n_heads: int | None
    n_blocks_read: int | None


@dataclass(frozen=True)
class _PartFacts:
    grid: int
    width: int
    n_blocks_read: int
    n_heads: int | None


def encoder_facts(config: EncoderConfig) -> EncoderFacts:
    """Check an encoder and return its numbers; no weight is read.

    Raises:
        ConfigError: If there is no such model, if it cannot be read as configured, or if the grids
            of fused parts differ.
    """
    sequence = sequence_config(config)
    return EncoderFacts(
        n_tokens=sequence.n_tokens,
        width=sequence.hidden_size,
        image_size=sequence.image_size,
        n_attention_stacks=sequence.n_attention_stacks,
        n_heads=sequence.num_attention_heads,
        n_blocks_read=sequence.n_blocks_read,
    )


def encoder_fingerprint(config: EncoderConfig) -> str:
    """Hash what identifies an encoder's weights and how they are read, wherever they are stored."""
    digest = hashlib.sha256(repr((config.image_size, config.patch_size)).encode())
    for part in config.parts:
        digest.update(fingerprint(part.source, part.revision).encode())
        digest.update(repr((part.layer, part.prefix_tokens)).encode())
    return digest.hexdigest()


@lru_cache
def sequence_config(config: EncoderConfig) -> SequenceEncoderConfig:
    """Return the configuration of the `SequenceEncoder` that an `EncoderConfig` describes.

    Raises:
        ConfigError: As `encoder_facts`.
    """
    if not config.parts:
        return _raw_config(config)
    if config.patch_size is not None:
        raise ConfigError(
            f"encoder.patch_size is {config.patch_size}, but encoder '{config.name}' has parts with patches of "
            f"their own. Fix: encoder.patch_size=null."
        )
    parts = [_read_part(part, config.image_size) for part in config.parts]
    # All parts see the image that the first one's preprocessing makes.
    side = image_side(
        load_preprocessing(config.parts[0].source, config.parts[0].revision, config.image_size)
    )
    facts = [
        _measure(part, settings, side) for part, settings in zip(config.parts, parts, strict=True)
    ]
    patch_size = _common_patch_size(config, facts, side)
    stacks = [index for index, own in enumerate(facts) if own.n_heads is not None]
    one = stacks[0] if len(stacks) == 1 else None
    return SequenceEncoderConfig(
        parts=parts,
        hidden_size=sum(own.width for own in facts),
        image_size=side,
        patch_size=patch_size,
        n_tokens=facts[0].grid ** 2,
        n_attention_stacks=len(stacks),
        num_attention_heads=None if one is None else facts[one].n_heads,
        n_blocks_read=None if one is None else facts[one].n_blocks_read,
    )


def vision_config(part: EncoderPart) -> PreTrainedConfig:
    """Read the configuration of a vision model, also from inside a model of images and texts.

    Raises:
        ConfigError: If there is no such model, or transformers does not know its kind.
    """
    read_config(part.source, part.revision, _KEYS)
    check_files(part.source, part.revision, _KEYS)
    config = load_config(part.source, part.revision)
    inner: PreTrainedConfig = getattr(config, "vision_config", config)
    return inner


def _raw_config(config: EncoderConfig) -> SequenceEncoderConfig:
    """Describe raw patches."""
    side, patch = config.image_size, config.patch_size
    if side is None or patch is None:
        raise ConfigError(
            f"Encoder '{config.name}' has no parts, so image_size and patch_size must be given. "
            f"Fix: encoder.image_size=384 encoder.patch_size=14, or name parts."
        )
    if patch > side:
        raise ConfigError(
            f"encoder.patch_size is {patch}, but the image has {side} pixels. "
            f"Fix: encoder.patch_size=<a divisor of {side}>."
        )
    return SequenceEncoderConfig(
        parts=[],
        hidden_size=3 * patch**2,
        image_size=side,
        patch_size=patch,
        n_tokens=(side // patch) ** 2,
    )


def _read_part(part: EncoderPart, image_size: int | None) -> dict[str, Any]:
    """Return what `SequenceEncoderConfig.parts` holds of one part."""
    config = vision_config(part)
    plain = {k: v for k, v in config.to_diff_dict().items() if k not in _LEFT_OUT}
    mean, std = normalisation(load_preprocessing(part.source, part.revision, image_size))
    return {
        "config": plain | {"model_type": config.model_type},
        "layer": part.layer,
        "prefix_tokens": part.prefix_tokens,
        "pixel_mean": mean,
        "pixel_std": std,
    }


def _measure(part: EncoderPart, settings: dict[str, Any], side: int) -> _PartFacts:
    """Pass an image without content through a model without weights: only shapes are computed."""
    try:
        with torch.device("meta"), torch.no_grad():
            model = build_part(settings["config"])
            pixels = torch.empty(1, 3, side, side)
            n_states = len(hidden_states_of(model, pixels, True))
            _check_layer(part, n_states)
            _, n_tokens, width = part_features(model, pixels, part.layer, part.prefix_tokens).shape
    except ConfigError:
        raise
    except (AttributeError, RuntimeError, TypeError, ValueError) as error:
        raise _unusable(
            part, f"it takes no image of {side} pixels ({str(error).splitlines()[0]})"
        ) from error
    if isqrt(n_tokens) ** 2 != n_tokens or n_tokens == 0:
        raise ConfigError(
            f"Vision model '{part.source}' gives {n_tokens} features after {part.prefix_tokens} prefix tokens, which "
            f"do not fill a square grid. Fix: count its class and register tokens in prefix_tokens."
        )
    return _PartFacts(isqrt(n_tokens), width, part.layer % n_states, _n_heads(model))


def _common_patch_size(config: EncoderConfig, facts: list[_PartFacts], side: int) -> int:
    """Return the side in pixels of what one feature of every part stands for."""
    grid = facts[0].grid
    for part, other in zip(config.parts, facts, strict=True):
        if other.grid != grid:
            raise ConfigError(
                f"Encoder '{config.name}' cannot fuse its parts: on {side} pixels '{config.parts[0].source}' has "
                f"a grid of {grid} x {grid} features, '{part.source}' one of {other.grid} x {other.grid}. "
                f"Fix: choose parts of one patch size, or an image_size at which the grids are equal."
            )
    patch_size = side // grid
    if side // patch_size != grid:
        raise ConfigError(
            f"Encoder '{config.name}' has a grid of {grid} x {grid} features on {side} pixels, which no integer patch "
            f"size gives. Fix: encoder.image_size=<a multiple of {grid}>."
        )
    return patch_size


def _check_layer(part: EncoderPart, n_states: int) -> None:
    if not -n_states <= part.layer < n_states:
        raise ConfigError(
            f"Vision model '{part.source}' has {n_states} hidden states, but layer is {part.layer}; "
            f"allowed: {-n_states} to {n_states - 1}. Fix: layer=-2 or layer=-1."
        )


def _n_heads(model: PreTrainedModel) -> int | None:
    n_heads = getattr(model.config, "num_attention_heads", None)
    return n_heads if isinstance(n_heads, int) else None


def _unusable(part: EncoderPart, reason: str) -> ConfigError:
    return ConfigError(
        f"Vision model '{part.source}' cannot be an encoder: {reason.rstrip('.')}. "
        f"Fix: give a vision model of transformers that takes square images in {_KEYS}."
    )
