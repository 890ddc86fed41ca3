"""A LLaVA made of parts: any image encoder, a fresh projector, any language model."""

import copy
from typing import Any

import torch
from torch import nn
from transformers import LlavaConfig, LlavaForConditionalGeneration

from ablate.config.schema import EncoderConfig, ModelConfig
from ablate.models.compute import Compute
from ablate.models.conversation import resolved
from ablate.models.encoders.check import sequence_config
from ablate.models.encoders.preprocessing import load_preprocessing, raw_preprocessing
from ablate.models.encoders.weights import load_encoder
from ablate.models.language import LanguageModel, load_language
from ablate.models.loading import settled
from ablate.models.pretrained import quiet_transformers
from ablate.models.vlm import VisionLanguageModel


def assemble(
    encoder: EncoderConfig, model: ModelConfig, compute: Compute, seed: int
) -> VisionLanguageModel:
    """Put an image encoder under a language model, with a fresh projector between them.

    Args:
        encoder: The image encoder.
        model: The language model, and its prompt.
        compute: Device and type of the frozen weights; encoder and projector are float32.
        seed: Seed of the projector.

    Returns:
        A model without CLIP, frozen and in evaluation mode.

    Raises:
        ConfigError: If a part cannot be loaded, or does not fit.
    """
    with quiet_transformers(), torch.random.fork_rng(devices=[]):
        vlm = joined(encoder, model, load_language(model, compute))
        sequence: Any = vlm.vision_config
        tower: Any = load_encoder(encoder, sequence)
        vlm.llava.model.vision_tower = tower
        start_projector(vlm.llava, seed)
    return settled(vlm, compute)


def joined(
    encoder: EncoderConfig, model: ModelConfig, language: LanguageModel
) -> VisionLanguageModel:
    """Put an image encoder and a projector without weights, on torch's `meta` device, under a language model.

    Raises:
        ConfigError: If there is no such encoder.
    """
    # A saved model does not depend on the folders of the machine that it was made on.
    language.config.name_or_path = ""
    vision_config = copy.deepcopy(sequence_config(encoder))
    llava = _empty_llava(
        LlavaConfig(
            vision_config=vision_config,
            text_config=language.config,
            image_token_index=language.image_token_id,
            image_seq_length=vision_config.n_tokens,
            vision_feature_layer=-1,
            vision_feature_select_strategy="full",
            tie_word_embeddings=language.lm_head.weight
            is language.model.get_input_embeddings().weight,
        )
    )
    llava.model.language_model = language.model
    llava.lm_head = language.lm_head
    if language.generation is not None:
        llava.generation_config = language.generation
    if encoder.parts:
        processor = load_preprocessing(
            encoder.parts[0].source, encoder.parts[0].revision, encoder.image_size
        )
    else:
        processor = raw_preprocessing(vision_config.image_size)
    return VisionLanguageModel(
        llava,
        None,
        language.tokenizer,
        None,
        processor,
        str(resolved(model).prompt),
        model.image_aspect,
    )


def _empty_llava(config: LlavaConfig) -> LlavaForConditionalGeneration:
    """Build LLaVA without memory for its weights: all of them are put in afterwards."""
    with torch.device("meta"):
        return LlavaForConditionalGeneration(config)


def start_projector(llava: LlavaForConditionalGeneration, seed: int) -> None:
    """Give a model a fresh projector, its weights drawn as torch does for a linear layer.

    Their scale goes with the width of what is read, 1 / sqrt(in_features): features of 192 and of
    2176 channels arrive at the language model equally large. They are drawn on the CPU, so that every device has
    the same.

    Args:
        llava: The model; its projector is replaced.
        seed: Seed of the weights.
    """
    projector = copy.deepcopy(llava.model.multi_modal_projector).to_empty(device="cpu").float()
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        for module in projector.modules():
            if isinstance(module, nn.Linear):
                module.reset_parameters()
    device = llava.get_input_embeddings().weight.device
    llava.model.multi_modal_projector = projector.requires_grad_(False).eval().to(device)
