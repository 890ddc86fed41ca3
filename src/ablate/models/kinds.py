"""What kind of model a config.json describes, and whether models given together belong together."""

from typing import Any

from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
)

from ablate.config.errors import ConfigError
from ablate.config.schema import ModelConfig
from ablate.models.files import SHIPPED, SHIPPED_FOLDER, locate, read_config

# What two image encoders with the same weights agree in.
_SHAPE = ("hidden_size", "num_hidden_layers", "intermediate_size", "image_size", "patch_size")
# Shipped models by name; their prompt and recipe suit no other model.
_TOYS = {"tiny": "llava", "tiny-lm": "language"}


def check_toy(model: ModelConfig) -> None:
    """Refuse another model under the words and the name of a shipped tiny one.

    Raises:
        ConfigError: If the model is named after a tiny model that it is not.
    """
    role = _TOYS.get(model.name or "")
    if role is None:
        return
    for key in ("llava", "language"):
        given = getattr(model, key)
        wanted = f"{SHIPPED}{role}" if key == role else None
        if given == wanted or (given and wanted and locate(given) == str(SHIPPED_FOLDER / role)):
            continue
        group = "language" if key == "language" else "llava"
        raise ConfigError(
            f"model.{key} is '{given}', but model '{model.name}' is {SHIPPED}{role}, with a prompt, a scoring and a "
            f"recipe for it alone. Fix: model={group} model.{key}=<folder or hub id> instead of model={model.name}."
        )


def read_vision_config(model: ModelConfig) -> dict[str, Any]:
    """Read what a LLaVA's config.json says of its image encoder.

    Raises:
        ConfigError: If there is no such model, or it is not a LLaVA.
    """
    if model.llava is None:
        raise ConfigError(
            f"Model '{model.name}' is only a language model, without an image encoder. "
            f"Fix: encoder=<one of `ablate list encoders`>, or a model with a LLaVA."
        )
    config = read_config(model.llava, model.revision, "model.llava")
    kind, vision = config.get("model_type"), config.get("vision_config")
    if kind != "llava":
        raise ConfigError(
            f"Model '{model.llava}' is not a LLaVA, but of type {_quoted(kind)}; allowed: 'llava', the type of LLaVA "
            f"1.5 and similar models. Fix: model.llava=<a LLaVA's folder or hub id>."
        )
    if not isinstance(vision, dict):
        raise ConfigError(
            f"Model '{model.llava}' is not a LLaVA: vision_config in its config.json is {_quoted(vision)}; allowed: an "
            f"object. Fix: model.llava=<a LLaVA's folder or hub id>."
        )
    # What transformers takes a LLaVA's image encoder for where its configuration does not say.
    return {"model_type": "clip_vision_model", **vision}


def check_language(model: ModelConfig) -> None:
    """Check that a model has a language model which an encoder can be put under.

    Raises:
        ConfigError: If there is no such model, or it is not a causal language model.
    """
    if model.language is None:
        read_vision_config(model)
        return
    config = read_config(model.language, model.revision, "model.language")
    kind = config.get("model_type")
    reads_both_ways = kind in MODEL_FOR_MASKED_LM_MAPPING_NAMES and not config.get("is_decoder")
    if kind not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES or reads_both_ways:
        raise ConfigError(
            f"Model '{model.language}' is not a causal language model, but of type {_quoted(kind)}; allowed: a causal "
            f"one of transformers, such as 'llama'. Fix: model.language=<a causal language model's folder or hub id>."
        )


def check_pair(model: ModelConfig) -> None:
    """Check that LLaVA's image encoder is that of the CLIP beside it, as far as their shapes tell.

    Raises:
        ConfigError: If it is not, or if one of the models does not exist.
    """
    vision = read_vision_config(model)
    if model.clip is None:
        return
    config = read_config(model.clip, model.clip_revision, "model.clip")
    kind, of_clip = config.get("model_type"), config.get("vision_config")
    if kind != "clip" or not isinstance(of_clip, dict):
        found = (
            f"of type {_quoted(kind)}"
            if kind != "clip"
            else f"its vision_config {_quoted(of_clip)}"
        )
        raise ConfigError(
            f"Model '{model.clip}' is not a CLIP, but {found}; allowed: 'clip' with a vision_config. "
            f"Fix: model.clip=<a CLIP's folder or hub id>, or model.clip=null."
        )
    for key in ("model_type", *_SHAPE):
        own, other = vision.get(key), of_clip.get(key)
        if None not in (own, other) and own != other:
            raise ConfigError(
                f"The image encoder of '{model.llava}' is not that of '{model.clip}': {key} is {own} and {other}. "
                f"Fix: model.clip=<the CLIP of its image encoder>, or model.clip=null."
            )


def _quoted(value: object) -> str:
    """Write a value of a file of unknown content, shortened."""
    words = repr(value) if value is not None else "null"
    return words if len(words) <= 60 else f"{words[:60]}..."
