"""The parts of the tiny build, each from the configuration alone to the files of its folder."""

from pathlib import Path

import numpy as np
import torch
from torch.nn import functional
from transformers import CLIPModel, PreTrainedTokenizerFast

from ablate.world.rendering import STYLES, render
from ablate.world.scenes import SHAPES, sample_scenes
from tiny.config import BuildConfig
from tiny.contrastive import normalise, train_clip
from tiny.encoders import FAMILIES, build_encoder
from tiny.instruction import train_llava
from tiny.language import build_language_model
from tiny.models import check_special_tokens, make_clip, make_llava, save_clip, save_llava
from tiny.text import train_tokenizer, wrap_tokenizer


@torch.no_grad()
def zero_shot_accuracy(
    clip: CLIPModel, tokenizer: PreTrainedTokenizerFast, config: BuildConfig, style: str
) -> float:
    """Return CLIP's accuracy on one-object development scenes; chance is 1 / 8."""
    indices = np.arange(config.check_items)
    labels = indices % len(SHAPES)
    scenes = sample_scenes("development", indices, np.ones_like(indices), labels)
    vision = clip.vision_model(pixel_values=normalise(render(scenes, style), config))
    image = clip.visual_projection(vision.pooler_output)
    words = torch.zeros(len(SHAPES), config.projection_width)
    for template in config.templates:
        tokens = tokenizer(
            [template.format(name) for name in SHAPES], padding=True, return_tensors="pt"
        )
        text = clip.text_model(
            input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]
        )
        words += functional.normalize(clip.text_projection(text.pooler_output), dim=-1)
    return float(np.mean((image @ words.T).argmax(dim=1).numpy() == labels))


def build_llava(config: BuildConfig, folder: Path) -> None:
    """Train CLIP, then LLaVA on its encoder, and write both into `folder`."""
    torch.set_num_threads(config.threads)
    trained = train_tokenizer(config)
    tokenizer = wrap_tokenizer(trained, config.tokenizer.max_length, ends=False)
    check_special_tokens(tokenizer)
    clip_length = config.text["max_position_embeddings"]
    clip_tokenizer = wrap_tokenizer(trained, clip_length, ends=True)
    torch.manual_seed(config.seed)
    clip = make_clip(config, len(tokenizer))
    train_clip(clip, clip_tokenizer, config)
    for style in STYLES:
        accuracy = zero_shot_accuracy(clip, clip_tokenizer, config, style)
        print(f"CLIP zero-shot, {style}: {accuracy:.3f}")
    torch.manual_seed(config.seed)
    llava = make_llava(config, len(tokenizer), clip)
    train_llava(llava, tokenizer, config)
    save_llava(llava, tokenizer, config, folder / "llava")
    save_clip(clip, clip_tokenizer, folder / "clip")


def build_language(config: BuildConfig, folder: Path) -> None:
    """Train the language model that knows text alone and write it into `folder`."""
    tokenizer = wrap_tokenizer(train_tokenizer(config), config.tokenizer.max_length, ends=False)
    check_special_tokens(tokenizer)
    build_language_model(tokenizer, config, folder / "language")


def build_encoders(config: BuildConfig, folder: Path) -> None:
    """Train every family's encoder and write them into `folder`."""
    length = config.text["max_position_embeddings"]
    tokenizer = wrap_tokenizer(train_tokenizer(config), length, ends=True)
    for name in FAMILIES:
        build_encoder(name, tokenizer, config, folder / "encoders" / name)


PARTS = {"llava": build_llava, "language": build_language, "encoders": build_encoders}
