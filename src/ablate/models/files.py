"""The files a model is made of: found, named and checked before any weight is loaded."""

import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
from transformers.utils.hub import cached_file

from ablate.config.errors import ConfigError
from ablate.config.schema import ModelConfig

SHIPPED = "tiny:"
SHIPPED_FOLDER = Path(__file__).parent / "tiny"
# What two image encoders with the same weights agree in.
_SHAPE = ("hidden_size", "num_hidden_layers", "intermediate_size", "image_size", "patch_size")


def locate(name: str) -> str:
    """Turn a configured model name into what `from_pretrained` takes: `tiny:` names a folder inside the package."""
    if name.startswith(SHIPPED):
        return str(SHIPPED_FOLDER / name.removeprefix(SHIPPED))
    return name


MODEL_KEYS = "model.llava, model.clip and model.language"


@lru_cache
def read_config(name: str, revision: str | None, keys: str = MODEL_KEYS) -> dict[str, Any]:
    """Read a model's config.json.

    Args:
        name: Folder or hub id.
        revision: Hub revision.
        keys: The configuration keys that such a name is given in, for the error's text.

    Raises:
        ConfigError: If there is no such model, here or on the hub.
    """
    place = locate(name)
    is_path = place.startswith((".", "~")) or Path(place).is_absolute()
    if is_path and not (Path(place) / "config.json").is_file():
        raise ConfigError(
            f"Model folder {place} has no config.json. "
            f"Fix: give a saved model's folder, or a hub id, in {keys}."
        )
    try:
        file = cached_file(place, "config.json", revision=revision)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(
            f"Model '{name}' has no readable config.json: {reason} "
            f"Fix: give a folder or hub id in {keys}."
        ) from error
    assert file is not None
    try:
        config: dict[str, Any] = json.loads(Path(file).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"{file} is no JSON ({error}). Fix: save the model again.") from error
    return config


def read_vision_config(model: ModelConfig) -> dict[str, Any]:
    """Read what a LLaVA's config.json says of its image encoder.

    Raises:
        ConfigError: If there is no such model, or it is no LLaVA.
    """
    if model.llava is None:
        raise ConfigError(
            f"Model '{model.name}' is a language model only and cannot see. "
            f"Fix: encoder=<one of `ablate list encoders`>, or a model with a LLaVA."
        )
    config = read_config(model.llava, model.revision)
    if "vision_config" not in config:
        raise ConfigError(
            f"Model '{model.llava}' is no LLaVA: its config.json has no vision_config. "
            f"Fix: model.llava=<a LLaVA's folder or hub id>."
        )
    # What transformers takes a LLaVA's image encoder for where its configuration does not say.
    return {"model_type": "clip_vision_model", **config["vision_config"]}


def check_language(model: ModelConfig) -> None:
    """Check that a model has a language model which an encoder can be put under.

    Raises:
        ConfigError: If there is no such model, or it is no causal language model.
    """
    if model.language is None:
        read_vision_config(model)
        return
    kind = read_config(model.language, model.revision).get("model_type")
    if kind not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        raise ConfigError(
            f"Model '{model.language}' is no causal language model, but of type '{kind}'. "
            f"Fix: model.language=<a causal language model's folder or hub id>."
        )


def check_pair(model: ModelConfig) -> None:
    """Check that LLaVA's image encoder is that of the CLIP beside it, as far as their shapes tell.

    Raises:
        ConfigError: If it is not, or if one of the models does not exist.
    """
    vision = read_vision_config(model)
    if model.clip is None:
        return
    of_clip = read_config(model.clip, model.revision).get("vision_config")
    if of_clip is None:
        raise ConfigError(
            f"Model '{model.clip}' is no CLIP: its config.json has no vision_config. "
            f"Fix: model.clip=<a CLIP's folder or hub id>, or model.clip=null."
        )
    for key in ("model_type", *_SHAPE):
        own, other = vision.get(key), of_clip.get(key)
        if None not in (own, other) and own != other:
            raise ConfigError(
                f"The image encoder of '{model.llava}' is not that of '{model.clip}': {key} is {own} and {other}. "
                f"Fix: model.clip=<the CLIP of its image encoder>, or model.clip=null."
            )


def n_attention_heads(model: ModelConfig) -> int:
    """Return how many attention heads a block of the model's image encoder has.

    Raises:
        ConfigError: If the encoder has no attention, or several stacks of it.
    """
    n_heads = read_vision_config(model).get("num_attention_heads", 16)
    if n_heads is None:
        raise ConfigError(
            f"The image encoder of model '{model.name}' is not one stack of attention blocks: no heads to choose. "
            f"Fix: method=full or method=frozen, or another model."
        )
    return int(n_heads)


def check_weights(model: ModelConfig) -> None:
    """Check the weight files of a local model: each opens, and the shipped ones have the right hash.

    Raises:
        ConfigError: If a file is damaged or missing; the line names it.
    """
    for name in (model.llava, model.clip, model.language):
        if name is not None:
            check_folder(name)


def check_folder(name: str) -> None:
    """Check the weight files of one model, if it is a folder of this machine.

    Raises:
        ConfigError: If a file is damaged or missing; the line names it.
    """
    folder = Path(locate(name))
    if not folder.is_dir():
        return
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise ConfigError(f"Model folder {folder} holds no .safetensors file. Fix: save one there.")
    for file in files:
        _check_file(file)


def _check_file(file: Path) -> None:
    try:
        with safe_open(file, framework="pt") as tensors:
            tensors.keys()
    except (SafetensorError, OSError) as error:
        raise ConfigError(
            f"Weights file {file} is damaged ({error}). Fix: download or build it again."
        ) from error
    if file.is_relative_to(SHIPPED_FOLDER):
        expected = json.loads((SHIPPED_FOLDER / "sha256.json").read_text(encoding="utf-8"))
        given = hashlib.sha256(file.read_bytes()).hexdigest()
        if given != expected.get(file.relative_to(SHIPPED_FOLDER).as_posix()):
            raise ConfigError(
                f"Weights file {file} is damaged (its hash is not the shipped one). "
                f"Fix: reinstall ablate-vlm."
            )


@lru_cache
def fingerprint(name: str, revision: str | None) -> str:
    """Hash what identifies a model's weights, wherever they lie.

    A local folder is identified by its config and the content of its weight files, a hub model by
    its id and revision.
    """
    folder = Path(locate(name))
    digest = hashlib.sha256()
    if not folder.is_dir():
        digest.update(f"{name}@{revision}".encode())
        return digest.hexdigest()
    patterns = ("*.json", "*.txt", "*.model", "*.safetensors")
    for file in sorted(path for pattern in patterns for path in folder.glob(pattern)):
        digest.update(file.name.encode())
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def model_source(config: ModelConfig) -> str:
    """Return where a model really comes from: its folder, or its hub id and revision."""
    name = config.llava or config.language or config.name
    if name.startswith(SHIPPED):
        return name
    if Path(name).expanduser().is_dir():
        return str(Path(name).expanduser().resolve())
    return f"{name}@{config.revision}" if config.revision else name
