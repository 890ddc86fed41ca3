"""Making the two models that share an encoder, and writing them as float16 safetensors."""

import hashlib
import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import (
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    CLIPTextConfig,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    PreTrainedTokenizerFast,
)

from tiny.config import BuildConfig
from tiny.text import BOS_ID, EOS_ID, IMAGE_ID, PAD_ID, SPECIAL_TOKENS


def make_clip(config: BuildConfig, n_tokens: int) -> CLIPModel:
    """Make an untrained CLIP."""
    text = CLIPTextConfig(
        **config.text,
        vocab_size=n_tokens,
        pad_token_id=PAD_ID,
        bos_token_id=BOS_ID,
        eos_token_id=EOS_ID,
        projection_dim=config.projection_width,
    )
    vision = CLIPVisionConfig(**config.vision, projection_dim=config.projection_width)
    return CLIPModel(
        CLIPConfig(
            text_config=text.to_dict(),
            vision_config=vision.to_dict(),
            projection_dim=config.projection_width,
        )
    )


def make_llava(
    config: BuildConfig, n_tokens: int, clip: CLIPModel
) -> LlavaForConditionalGeneration:
    """Make an untrained LLaVA around the encoder of `clip`."""
    language = LlamaConfig(
        **config.language,
        vocab_size=n_tokens,
        pad_token_id=PAD_ID,
        bos_token_id=BOS_ID,
        eos_token_id=EOS_ID,
        tie_word_embeddings=True,
    )
    llava = LlavaForConditionalGeneration(
        LlavaConfig(
            vision_config=clip.vision_model.config.to_dict(),
            text_config=language.to_dict(),
            image_token_index=IMAGE_ID,
            image_seq_length=config.n_image_tokens,
            vision_feature_layer=-2,
            vision_feature_select_strategy="default",
            tie_word_embeddings=True,
        )
    )
    llava.model.vision_tower.load_state_dict(clip.vision_model.state_dict())
    return llava


def save_llava(
    llava: LlavaForConditionalGeneration,
    tokenizer: PreTrainedTokenizerFast,
    config: BuildConfig,
    folder: Path,
) -> None:
    """Write LLaVA, its tokenizer and its image processor."""
    llava.half().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    side = config.vision["image_size"]
    CLIPImageProcessorPil(
        size={"shortest_edge": side},
        crop_size={"height": side, "width": side},
        image_mean=config.image_mean,
        image_std=config.image_std,
    ).save_pretrained(folder)


def save_clip(clip: CLIPModel, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write CLIP without its encoder, which is LLaVA's, and the text tower's tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {
        name: value.half().contiguous()
        for name, value in clip.state_dict().items()
        if not name.startswith("vision_model.") and not name.endswith("position_ids")
    }
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    clip.config.architectures = ["CLIPModel"]
    clip.config.dtype = torch.float16
    clip.config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def write_checksums(folder: Path) -> None:
    """Make the weights files readable by all and write their SHA-256 into `sha256.json`."""
    for path in folder.rglob("*.safetensors"):
        path.chmod(0o644)
    sums = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*.safetensors"))
    }
    (folder / "sha256.json").write_text(json.dumps(sums, indent=2) + "\n")


def check_special_tokens(tokenizer: PreTrainedTokenizerFast) -> None:
    """Check that the special tokens have the ids that the configurations name."""
    ids = tokenizer.convert_tokens_to_ids(list(SPECIAL_TOKENS))
    if ids != list(range(len(SPECIAL_TOKENS))):
        raise RuntimeError(f"Special tokens have the ids {ids}.")
