"""Vision models of every kind with random weights, in the form that the hub has them in, and what goes over them."""

from pathlib import Path

import torch
from safetensors.torch import save as save_tensors
from tests.conftest import train_tokenizer
from transformers import (
    BitImageProcessorPil,
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    CLIPVisionConfig,
    ConvNextImageProcessorPil,
    Dinov2Config,
    Dinov2Model,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    ResNetConfig,
    ResNetForImageClassification,
    SiglipConfig,
    SiglipImageProcessorPil,
    SiglipModel,
    SiglipVisionConfig,
    ViTConfig,
    ViTForImageClassification,
    ViTImageProcessorPil,
)

from ablate.config.schema import ModelConfig
from ablate.config.schema.encoders import EncoderConfig, EncoderPart
from ablate.models.compute import Compute

SIDE = 32
KINDS = ("clip", "siglip", "dinov2", "vit", "resnet")
PREFIX_TOKENS = {"clip": 1, "siglip": 0, "dinov2": 1, "vit": 1, "resnet": 0}
WIDTHS = {"clip": 24, "siglip": 32, "dinov2": 16, "vit": 24, "resnet": 32}
NO_TENSORS = save_tensors({})
FP32 = Compute(torch.device("cpu"), "fp32")
AS_IS = {"revision": None, "clip_revision": None, "attention": "sdpa", "quantization": None}

_SQUARE = {"height": SIDE, "width": SIDE}
PROCESSORS = {
    "clip": CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size=_SQUARE),
    "siglip": SiglipImageProcessorPil(size=_SQUARE),
    # As on the hub: cropped from a larger image, and the normalisation of ImageNet.
    "dinov2": BitImageProcessorPil(
        size={"shortest_edge": SIDE + 4},
        crop_size=_SQUARE,
        image_mean=[0.485, 0.456, 0.406],
        image_std=[0.229, 0.224, 0.225],
    ),
    "vit": ViTImageProcessorPil(size=_SQUARE),
    "resnet": ConvNextImageProcessorPil(size={"shortest_edge": SIDE}, crop_pct=0.875),
}


def build(kind: str, seed: int = 0) -> PreTrainedModel:
    """Build the whole model that the hub has, of which only the vision model is wanted."""
    torch.manual_seed(seed)
    sizes = {
        "hidden_size": WIDTHS[kind],
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "image_size": SIDE,
        "patch_size": 8,
    }
    if kind == "clip":
        vision = CLIPVisionConfig(**sizes, intermediate_size=40)
        return CLIPModel(CLIPConfig(text_config=_text(), vision_config=vision.to_dict()))
    if kind == "siglip":
        vision = SiglipVisionConfig(**sizes, intermediate_size=40)
        text = {**_text(), "projection_size": WIDTHS[kind]}
        return SiglipModel(SiglipConfig(text_config=text, vision_config=vision.to_dict()))
    if kind == "dinov2":
        # Made for another image size, as the real one is: its positions are stretched.
        return Dinov2Model(Dinov2Config(**{**sizes, "image_size": 48}, mlp_ratio=2))
    if kind == "vit":
        config = ViTConfig(**sizes, intermediate_size=40, num_labels=5)
        return ViTForImageClassification(config)
    config = ResNetConfig(
        embedding_size=8, hidden_sizes=[16, WIDTHS[kind]], depths=[1, 1], num_labels=5
    )
    return _with_statistics(ResNetForImageClassification(config))


def save(kind: str, folder: Path, seed: int = 0) -> EncoderPart:
    """Save a model and its preprocessing; return it as a part of an encoder."""
    build(kind, seed).save_pretrained(folder)
    PROCESSORS[kind].save_pretrained(folder)
    return EncoderPart(str(folder), None, -1 if kind == "resnet" else -2, PREFIX_TOKENS[kind])


def encoder(name: str, folder: Path) -> EncoderConfig:
    """Save what an encoder consists of: a kind, two kinds joined by `+`, or `patches`."""
    if name == "patches":
        return EncoderConfig(name, (), SIDE, 8)
    kinds = name.split("+")
    return EncoderConfig(name, tuple(save(kind, folder / kind) for kind in kinds), None, None)


def language(folder: Path, **options: object) -> ModelConfig:
    """Save a plain causal language model; neither it nor its tokenizer knows an image token."""
    torch.manual_seed(1)
    words = train_tokenizer(["<pad>", "<s>", "</s>"], "<s> $A", 512)
    sizes = {
        "vocab_size": len(words),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "initializer_range": 0.3,
        "bos_token_id": words.bos_token_id,
        "eos_token_id": words.eos_token_id,
        "pad_token_id": words.pad_token_id,
    }
    LlamaForCausalLM(LlamaConfig(**{**sizes, **options})).save_pretrained(folder)
    words.save_pretrained(folder)
    return model(language=str(folder))


def model(**values: str) -> ModelConfig:
    given = {"llava": None, "clip": None, "language": None, **AS_IS, **values}
    prompt, turn = "USER: <image>\n{question} ASSISTANT:", " USER: {question} ASSISTANT:"
    return ModelConfig(name="small", **given, scoring="answers", prompt=prompt, turn=turn)


def _text() -> dict[str, int]:
    return {
        "vocab_size": 40,
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "max_position_embeddings": 8,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }


def _with_statistics(network: PreTrainedModel) -> PreTrainedModel:
    """Give every BatchNorm statistics that are not those of an untrained one."""
    for name, buffer in network.named_buffers():
        if name.endswith("running_mean"):
            buffer.uniform_(-0.2, 0.2)
        elif name.endswith("running_var"):
            buffer.uniform_(0.1, 0.5)
    return network
