"""A whole model without weights: its layers by name, kind and shape, on torch's `meta` device."""

import copy
from functools import lru_cache

import torch

from ablate.config.schema import EncoderConfig, ModelConfig
from ablate.models.assemble import joined
from ablate.models.conversation import resolved
from ablate.models.encoders.preprocessing import load_preprocessing
from ablate.models.language import language_skeleton
from ablate.models.pretrained import load_config, load_tokenizer, quiet_transformers
from ablate.models.vlm import VisionLanguageModel
from ablate.models.weights import CLIP, LLAVA, blank


@lru_cache
def vlm_skeleton(
    model: ModelConfig, encoder: EncoderConfig | None, dtype: torch.dtype = torch.float32
) -> VisionLanguageModel:
    """Build what a run trains, from configuration files, tokenizers and preprocessing alone.

    Args:
        model: The model.
        encoder: An image encoder to put under its language model, or None for its own.
        dtype: Type of the frozen weights; image encoder, CLIP and a fresh projector are float32.

    Returns:
        The model with the parameters that it will have, frozen and in evaluation mode; it is shared, so copy it
        before you change it. Its buffers and `device` are on `meta`, too.

    Raises:
        ConfigError: If a part is missing, damaged, or does not fit the rest.
    """
    with quiet_transformers():
        vlm = _whole(model) if encoder is None else joined(encoder, model, language_skeleton(model))
    for parameter in vlm.llava.parameters():
        # Buffers, such as the frequencies of rotary positions, keep their type when weights are loaded.
        parameter.data = parameter.data.to(dtype)
    vlm.vision_tower.float()
    if encoder is not None:
        vlm.llava.model.multi_modal_projector.float()
    if vlm.clip is not None:
        vlm.clip.float()
    return vlm.requires_grad_(False).to("meta").eval()


def without_content(vlm: VisionLanguageModel) -> VisionLanguageModel:
    """Copy a model to torch's `meta` device; what it reads texts and images with stays the same."""
    kept = (vlm.tokenizer, vlm.clip_tokenizer, vlm.image_processor)
    return copy.deepcopy(vlm, {id(part): part for part in kept}).to("meta")


def _whole(model: ModelConfig) -> VisionLanguageModel:
    """Build a LLaVA and the CLIP around its image encoder, where there is one."""
    name, revision = str(model.llava), model.revision
    llava = blank(LLAVA, name, load_config(name, revision))
    tokenizer = load_tokenizer(name, revision)
    processor = load_preprocessing(name, revision, None)
    clip, clip_tokenizer = None, None
    if model.clip is not None:
        clip = blank(CLIP, model.clip, load_config(model.clip, model.clip_revision))
        clip_tokenizer = load_tokenizer(model.clip, model.clip_revision)
    return VisionLanguageModel(
        llava,
        clip,
        tokenizer,
        clip_tokenizer,
        processor,
        str(resolved(model).prompt),
        model.image_aspect,
    )
