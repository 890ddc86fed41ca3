"""A dry run of a model without weights on one question: what does not fit is found before anything is loaded."""

from functools import lru_cache
from typing import Any

import torch

from ablate.config.errors import ConfigError
from ablate.config.schema import EncoderConfig, ModelConfig
from ablate.config.schema.encoders import EncoderPart
from ablate.models.encoders.check import vision_config
from ablate.models.encoders.preprocessing import image_side
from ablate.models.files import check_files
from ablate.models.kinds import check_language, check_pair
from ablate.models.pretrained import check_generation, load_config, load_tokenizer
from ablate.models.settings import readable
from ablate.models.skeleton import vlm_skeleton
from ablate.models.weights import CLIP, LANGUAGE, LLAVA, VISION, check_headers, skeleton

_SAVE_AGAIN = "give a LLaVA whose tokenizer, preprocessing and config.json were saved together."


def check_parts(model: ModelConfig, encoder: EncoderConfig | None) -> None:
    """Check all that is loaded of a model: settings, tokenizers, preprocessing, and the names and shapes of weights.

    Args:
        model: The model, with its prompt.
        encoder: The image encoder put under its language model, or None for its own.

    Raises:
        ConfigError: If something is missing, damaged, or does not fit the rest.
    """
    if encoder is None:
        check_pair(model)
        _check_vlm(model)
    else:
        check_language(model)
        _check_language_model(model)
        for part in encoder.parts:
            _check_vision_model(part)


@lru_cache
def _check_language_model(model: ModelConfig) -> None:
    name = str(model.language or model.llava)
    check_generation(name, model.revision)
    check_files(name, model.revision)
    kind = LLAVA if model.language is None else LANGUAGE
    whole = skeleton(kind, name, load_config(name, model.revision))
    tokenizer = load_tokenizer(name, model.revision)
    if model.language is None:
        _check_image_token(name, whole, tokenizer)


@lru_cache
def _check_vision_model(part: EncoderPart) -> None:
    check_files(part.source, part.revision, "encoder.parts")
    skeleton(VISION, part.source, vision_config(part))


@lru_cache
def _check_vlm(model: ModelConfig) -> None:
    """Show an image without content to the model without weights: only shapes are computed."""
    name, revision = str(model.llava), model.revision
    check_generation(name, revision)
    check_files(name, revision, "model.llava")
    if model.clip is not None:
        check_files(model.clip, model.clip_revision, "model.clip")
    vlm = vlm_skeleton(model, None)
    check_headers(LLAVA, name, vlm.llava)
    _check_image_token(name, vlm.llava, vlm.tokenizer)
    if vlm.clip is not None:
        check_headers(CLIP, str(model.clip), vlm.clip)
        _check_vocabulary(str(model.clip), vlm.clip.text_model, vlm.clip_tokenizer)
    side = image_side(vlm.image_processor)
    with (
        readable(f"Model '{name}' cannot process an image of {side} pixels", _SAVE_AGAIN),
        torch.no_grad(),
    ):
        pixels = torch.empty(1, 3, side, side, device="meta", dtype=vlm.llava.dtype)
        n_tokens = vlm.image_tokens(pixels).shape[1]
        if n_tokens != vlm.n_image_tokens:
            raise ValueError(f"it becomes {n_tokens} tokens and not {vlm.n_image_tokens}")
        vlm.prompt_ids("what is this?")
        if vlm.clip is not None:
            vlm.clip_image_features(pixels)


def _check_image_token(name: str, llava: Any, tokenizer: Any) -> None:  # noqa: ANN401
    """Check that the id which stands for an image feature is the same for model and tokenizer."""
    _check_vocabulary(name, llava, tokenizer)
    token_id, n_rows = llava.config.image_token_id, llava.get_input_embeddings().weight.shape[0]
    known = {i: token for token, i in tokenizer.get_vocab().items()}
    token, named = known.get(token_id), tokenizer.get_vocab().get("<image>")
    if token is None or not 0 <= token_id < n_rows or named not in (None, token_id):
        found = "none" if token is None else f"'{token}'"
        raise ConfigError(
            f"image_token_index of model '{name}' is {token_id}, which is {found} of its tokenizer's tokens and has to "
            f"be below the {n_rows} of its language model"
            + ("" if named is None else f"; '<image>' is {named}")
            + f". Fix: {_SAVE_AGAIN}"
        )
    if tokenizer(f"a{token}{token} b")["input_ids"].count(token_id) != 2:
        raise ConfigError(
            f"The tokenizer of model '{name}' does not encode its image token '{token}' as one token. "
            f"Fix: {_SAVE_AGAIN}"
        )


def _check_vocabulary(name: str, language_model: Any, tokenizer: Any) -> None:  # noqa: ANN401
    """Check that every word of a tokenizer has an embedding."""
    n_rows = language_model.get_input_embeddings().weight.shape[0]
    if tokenizer.vocab_size > n_rows:
        raise ConfigError(
            f"The tokenizer of model '{name}' has {tokenizer.vocab_size} tokens, its language model {n_rows}. "
            "Fix: put the tokenizer of this model beside it."
        )
