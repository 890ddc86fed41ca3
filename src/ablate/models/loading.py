"""From a model's configuration to a frozen `VisionLanguageModel` on its device."""

import torch

from ablate.config.schema import ModelConfig
from ablate.models.compute import Compute
from ablate.models.conversation import resolved
from ablate.models.kinds import check_pair
from ablate.models.options import language_options, weights_on
from ablate.models.pretrained import (
    load_config,
    load_image_processor,
    load_tokenizer,
    quiet_transformers,
)
from ablate.models.vlm import VisionLanguageModel
from ablate.models.weights import CLIP, LLAVA, load_weights


def load_model(config: ModelConfig, compute: Compute) -> VisionLanguageModel:
    """Load a model, frozen and in evaluation mode.

    Args:
        config: Which model.
        compute: Device and type of its weights.

    Returns:
        LLaVA and CLIP, where there is one, on one shared image encoder; no parameter requires a gradient.

    Raises:
        ConfigError: If the model is a language model only, or its files do not hold it.
    """
    check_pair(config)
    llava_name, revision = str(config.llava), config.revision
    with quiet_transformers():
        options = language_options(config, compute)
        llava_config = load_config(llava_name, revision)
        dtype = compute.frozen_dtype
        llava = load_weights(LLAVA, llava_name, revision, llava_config, dtype, options)
        clip, clip_tokenizer = None, None
        if config.clip is not None:
            of_clip = config.clip_revision
            clip_config = load_config(config.clip, of_clip)
            options = weights_on(compute.device)
            clip = load_weights(CLIP, config.clip, of_clip, clip_config, torch.float32, options)
            clip_tokenizer = load_tokenizer(config.clip, of_clip)
        vlm = VisionLanguageModel(
            llava,
            clip,
            load_tokenizer(llava_name, revision),
            clip_tokenizer,
            load_image_processor(llava_name, revision),
            str(resolved(config).prompt),
            config.image_aspect,
        )
    return settled(vlm, compute)


def settled(vlm: VisionLanguageModel, compute: Compute) -> VisionLanguageModel:
    """Freeze a model and put it on its device, in evaluation mode."""
    # What methods train and merge into is float32, as it was loaded: half precision would round small updates away.
    vlm.vision_tower.float()
    if vlm.clip is not None:
        vlm.clip.float()
    return vlm.requires_grad_(False).to(compute.device).eval()
