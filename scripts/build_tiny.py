"""Build the tiny models that the package ships, from a seed and nothing else.

`python scripts/build_tiny.py` writes `src/ablate/models/tiny` in about half an hour: the tiny LLaVA
and its CLIP (9 minutes on two CPU threads), a language model of its own (11 minutes on one thread) and
five encoders (12 minutes on one thread). `--only` builds a part alone; none needs another's files. All
values are in `build_tiny.yaml`. The same machine gives the same bytes; another one may round otherwise.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional
from transformers import CLIPModel, PreTrainedTokenizerFast

from ablate.data.shapes.rendering import STYLES, render
from ablate.data.shapes.world import SHAPES, sample_scenes
from tiny_config import BuildConfig, read_config
from tiny_contrastive import normalise, train_clip
from tiny_encoders import FAMILIES, build_encoder
from tiny_instruction import train_llava
from tiny_language import build_language_model
from tiny_models import (
    check_special_tokens,
    make_clip,
    make_llava,
    save_clip,
    save_llava,
    write_checksums,
)
from tiny_text import train_tokenizer, wrap_tokenizer

_FOLDER = Path(__file__).parent


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


def main() -> None:
    """Parse the command line and build."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--config", type=Path, default=_FOLDER / "build_tiny.yaml")
    parser.add_argument("--folder", type=Path, default=_FOLDER.parent / "src/ablate/models/tiny")
    parser.add_argument("--only", choices=list(PARTS), help="build this part alone")
    arguments = parser.parse_args()
    started = time.perf_counter()
    config = read_config(arguments.config)
    for part in [arguments.only] if arguments.only else PARTS:
        PARTS[part](config, arguments.folder)
    write_checksums(arguments.folder)
    size_mb = (
        sum(path.stat().st_size for path in arguments.folder.rglob("*") if path.is_file()) / 1e6
    )
    minutes = (time.perf_counter() - started) / 60
    print(f"Built {arguments.folder}: {size_mb:.2f} MB in {minutes:.1f} minutes.")


if __name__ == "__main__":
    main()
