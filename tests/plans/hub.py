"""A hub's cache that holds LLaVA-1.5 and the real encoders but for their tensors: configurations at full size."""

import json
import shutil
from importlib import util
from pathlib import Path

import yaml
from transformers import CLIPConfig, CLIPImageProcessorPil, LlamaConfig, LlavaConfig

from ablate.config.folder import config_folder
from ablate.models.files import SHIPPED_FOLDER

_FILE = Path(__file__).parents[2] / "scripts" / "check_full_size.py"
_SIDE = 336
_CLIP = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "image_size": _SIDE,
    "patch_size": 14,
    "projection_dim": 768,
}
_LLAMA = {
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
}

# Of what is pinned to none.
_COMMIT = "0" * 40


def write_cache(cache: Path) -> None:
    """Write what `HF_HUB_CACHE` names; the tokenizers are the tiny model's."""
    vision = {**_CLIP, "model_type": "clip_vision_model"}
    # Id 2 is the tiny tokenizer's image token.
    llava = LlavaConfig(
        vision_config=vision,
        text_config=LlamaConfig(**_LLAMA, vocab_size=32064),
        image_token_id=2,
        image_seq_length=576,
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
    )
    square = {"height": _SIDE, "width": _SIDE}
    processor = CLIPImageProcessorPil(size={"shortest_edge": _SIDE}, crop_size=square)
    pinned = yaml.safe_load((config_folder() / "model" / "llava-1.5-7b.yaml").read_text())
    place = _snapshot(cache, pinned["llava"], pinned["revision"])
    llava.save_pretrained(place)
    processor.save_pretrained(place)
    _copy_tokenizer("llava", place)
    revisions = _encoder_revisions()
    for name, (kind, sizes, kind_of_processor, settings) in _script().HUB.items():
        place = _snapshot(cache, name, revisions[name] or _COMMIT)
        kind(**sizes).save_pretrained(place)
        kind_of_processor(**settings).save_pretrained(place)
    # The whole CLIP in the place of its image encoder alone.
    text = json.loads((SHIPPED_FOLDER / "clip" / "config.json").read_text())["text_config"]
    place = _snapshot(cache, "openai/clip-vit-large-patch14-336")
    CLIPConfig(vision_config=_CLIP, text_config=text, projection_dim=768).save_pretrained(place)
    _copy_tokenizer("clip", place)


def _encoder_revisions() -> dict[str, str | None]:
    """Return what each encoder's model is pinned to."""
    files = [
        yaml.safe_load(file.read_text()) for file in (config_folder() / "encoder").glob("*.yaml")
    ]
    parts = [part for file in files for part in file.get("parts", ())]
    return {part["source"]: part["revision"] for part in parts if "source" in part}


def _snapshot(cache: Path, name: str, commit: str = _COMMIT) -> Path:
    folder = cache / f"models--{name.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True, exist_ok=True)
    (folder / "refs" / "main").write_text(commit)
    place = folder / "snapshots" / commit
    place.mkdir(parents=True, exist_ok=True)
    (place / "model.safetensors").touch()
    return place


def _copy_tokenizer(model: str, place: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(SHIPPED_FOLDER / model / name, place / name)


def _script():
    spec = util.spec_from_file_location("check_full_size", _FILE)
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
