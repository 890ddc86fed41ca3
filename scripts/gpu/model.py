"""A LLaVA of random weights, made on its device, and photographs to ask it about."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import (
    AddedToken,
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
)

from ablate.data.types import ImageClassification
from ablate.models.compute import Compute
from ablate.models.loading import settled
from ablate.models.pretrained import load_tokenizer, quiet_transformers
from ablate.models.vlm import VisionLanguageModel

PROMPT = "USER: <image>\n{question} ASSISTANT:"
CLASSES = ("a cat", "a lorry", "a teapot", "a violin", "a bridge")
_CLIP_L: dict[str, Any] = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "image_size": 336,
    "patch_size": 14,
    "projection_dim": 768,
}
_CLIP_L_TEXT: dict[str, Any] = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "projection_dim": 768,
}
_VICUNA_7B: dict[str, Any] = {
    "vocab_size": 32064,
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "max_position_embeddings": 4096,
    "rms_norm_eps": 1e-5,
}
_SMALL: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
}


@dataclass(frozen=True)
class Size:
    """Shapes of a LLaVA and its CLIP.

    Attributes:
        vision: The image encoder.
        clip_text: CLIP's text tower.
        language: The language model.
    """

    vision: dict[str, Any]
    clip_text: dict[str, Any]
    language: dict[str, Any]


SIZES = {
    "tiny": Size(
        {**_SMALL, "image_size": 56, "patch_size": 14, "projection_dim": 32},
        {**_SMALL, "projection_dim": 32},
        {**_SMALL, "vocab_size": 1024, "max_position_embeddings": 1024},
    ),
    "clip-l": Size(_CLIP_L, _CLIP_L_TEXT, {**_VICUNA_7B, "num_hidden_layers": 2}),
    "7b": Size(_CLIP_L, _CLIP_L_TEXT, _VICUNA_7B),
}
"""LLaVA-1.5-7B, the same with two of its language model's 32 layers, and one for tests."""


def random_vlm(
    size: Size, compute: Compute, seed: int = 0, with_clip: bool = True
) -> VisionLanguageModel:
    """Make a model on its device, frozen and in evaluation mode; its tokenizers are the tiny model's.

    Args:
        size: Its shapes.
        compute: Device, and type of the language model's weights.
        seed: Of the weights; those of another device are others.
        with_clip: Whether there is a CLIP around the image encoder.
    """
    tokenizer, clip_tokenizer = (load_tokenizer(f"tiny:{name}", None) for name in ("llava", "clip"))
    # One token for an option's letter, as Llama's tokenizer has.
    letters = [AddedToken(f" {letter}", single_word=True) for letter in "ABCDE"]
    tokenizer.add_tokens(letters)
    tokenizer.model_max_length = size.language["max_position_embeddings"]
    ids = {
        f"{word}_token_id": getattr(tokenizer, f"{word}_token_id") for word in ("bos", "eos", "pad")
    }
    clip_ids = {
        f"{word}_token_id": getattr(clip_tokenizer, f"{word}_token_id")
        for word in ("bos", "eos", "pad")
    }
    side, patch = size.vision["image_size"], size.vision["patch_size"]
    config = LlavaConfig(
        vision_config={**size.vision, "model_type": "clip_vision_model"},
        text_config=LlamaConfig(**size.language, **ids),
        image_token_index=tokenizer.get_vocab()["<image>"],
        image_seq_length=(side // patch) ** 2,
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
    )
    text = {
        **size.clip_text,
        **clip_ids,
        "vocab_size": len(clip_tokenizer),
        "max_position_embeddings": 77,
    }
    width = size.vision["projection_dim"]
    clip_config = CLIPConfig(text_config=text, vision_config=size.vision, projection_dim=width)
    torch.manual_seed(seed)
    with quiet_transformers(), torch.device(compute.device):
        llava = LlavaForConditionalGeneration._from_config(config, dtype=compute.frozen_dtype)
        clip = CLIPModel._from_config(clip_config, dtype=torch.float32) if with_clip else None
    language = llava.model.language_model
    # On the CPU, as they are computed when a model is loaded: a GPU's differ in the last bit.
    language.rotary_emb = type(language.rotary_emb)(config=language.config).to(compute.device)
    processor = CLIPImageProcessorPil(
        size={"shortest_edge": side}, crop_size={"height": side, "width": side}
    )
    words = clip_tokenizer if with_clip else None
    # Padded, as LLaVA-1.5 is shown its images.
    vlm = VisionLanguageModel(llava, clip, tokenizer, words, processor, PROMPT, image_aspect="pad")
    return settled(vlm, compute)


class Photographs:
    """JPEG files of 500 x 375 in memory, decoded when they are asked for: one in five of each class."""

    def __init__(self, name: str, n: int, seed: int) -> None:
        """Draw them."""
        generator = np.random.default_rng(seed)
        self.labels: Sequence[int] = [index % len(CLASSES) for index in range(n)]
        self.ids: Sequence[str] = [f"{name}-{index}" for index in range(n)]
        self._files: list[bytes] = []
        for _ in range(n):
            coarse = Image.fromarray(generator.integers(0, 256, (24, 32, 3), dtype=np.uint8))
            file = io.BytesIO()
            coarse.resize((500, 375), Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
            self._files.append(file.getvalue())

    def images(self, indices: Sequence[int]) -> list[Image.Image]:
        """Decode some as RGB."""
        return [Image.open(io.BytesIO(self._files[index])).convert("RGB") for index in indices]


def photographs(n_train: int, n_test: int) -> ImageClassification:
    """Return a data set of photographs."""
    return ImageClassification(
        name="photographs",
        class_names=CLASSES,
        question="What is in the picture?",
        templates=("a photo of {}.",),
        train=Photographs("train", n_train, 1),
        test=Photographs("test", n_test, 2),
        fingerprint=f"photographs {n_train} {n_test}",
    )
