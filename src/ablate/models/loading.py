"""From a model's configuration to a frozen `VisionLanguageModel` on its device."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import (
    AutoImageProcessor,
    AutoTokenizer,
    CLIPModel,
    LlavaForConditionalGeneration,
)
from transformers.utils import logging as transformers_logging

from ablate.config.schema import ModelConfig
from ablate.models.compute import Compute
from ablate.models.files import locate, read_vision_config
from ablate.models.vlm import VisionLanguageModel


def load_model(config: ModelConfig, compute: Compute) -> VisionLanguageModel:
    """Load a model, frozen and in evaluation mode.

    Args:
        config: Which model.
        compute: Device and type of its weights.

    Returns:
        LLaVA and CLIP, where there is one, on one shared image encoder; no parameter requires a gradient.

    Raises:
        ConfigError: If the model is a language model only.
    """
    read_vision_config(config)
    llava_place = locate(str(config.llava))
    clip_place = None if config.clip is None else locate(config.clip)
    revision = config.revision or "main"
    options: dict[str, Any] = {"revision": revision, "use_safetensors": True}
    with quiet_transformers():
        llava = LlavaForConditionalGeneration.from_pretrained(
            llava_place, dtype=compute.frozen_dtype, **options
        )
        clip, clip_tokenizer = None, None
        if clip_place is not None:
            clip = CLIPModel.from_pretrained(clip_place, dtype=compute.frozen_dtype, **options)
            clip_tokenizer = AutoTokenizer.from_pretrained(clip_place, revision=revision)
        vlm = VisionLanguageModel(
            llava,
            clip,
            AutoTokenizer.from_pretrained(llava_place, revision=revision),
            clip_tokenizer,
            AutoImageProcessor.from_pretrained(llava_place, revision=revision, backend="pil"),
            config.prompt,
        )
    return settled(vlm, compute)


def settled(vlm: VisionLanguageModel, compute: Compute) -> VisionLanguageModel:
    """Freeze a model and put it on its device, in evaluation mode."""
    # What methods train and merge into stays in float32: half precision would round small updates away.
    vlm.vision_tower.float()
    if vlm.clip is not None:
        vlm.clip.float()
    return vlm.requires_grad_(False).to(compute.device).eval()


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Silence transformers' bars and load reports: CLIP's own vision tower is dropped on purpose."""
    verbosity = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    with torch.no_grad():
        try:
            yield
        finally:
            transformers_logging.set_verbosity(verbosity)
            transformers_logging.enable_progress_bar()
