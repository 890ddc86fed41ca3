"""The tiny encoders: five families, the same images, steps and optimiser, each its own objective."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import (
    BitImageProcessorPil,
    CLIPImageProcessorPil,
    CLIPVisionConfig,
    CLIPVisionModel,
    ConvNextImageProcessorPil,
    Dinov2Config,
    Dinov2Model,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    ResNetConfig,
    ResNetModel,
    SiglipImageProcessorPil,
    SiglipVisionConfig,
    SiglipVisionModel,
    ViTConfig,
    ViTImageProcessorPil,
    ViTModel,
)

from ablate.world.rendering import render
from ablate.world.scenes import SHAPES, sample_scenes
from tiny.config import BuildConfig
from tiny.contrastive import normalise
from tiny.objectives import Captions, Labels, MaskedPatches
from tiny.training import train

_RIDGE = 1e-2


@dataclass(frozen=True)
class Family:
    """One family of encoders.

    Attributes:
        make: Makes an untrained encoder from its configuration's values.
        processor: The family's PIL image processor.
        resizing: Its arguments that keep a 32 px image whole, given the side in px.
    """

    make: Callable[[dict[str, Any]], PreTrainedModel]
    processor: Callable[..., Any]
    resizing: Callable[[int], dict[str, Any]]


def _exact(side: int) -> dict[str, Any]:
    return {"size": {"height": side, "width": side}}


def _cropped(side: int) -> dict[str, Any]:
    return {"size": {"shortest_edge": side}, "crop_size": {"height": side, "width": side}}


FAMILIES = {
    "clip": Family(
        lambda values: CLIPVisionModel(CLIPVisionConfig(**values)), CLIPImageProcessorPil, _cropped
    ),
    "siglip": Family(
        lambda values: SiglipVisionModel(SiglipVisionConfig(**values)),
        SiglipImageProcessorPil,
        _exact,
    ),
    "dinov2": Family(
        lambda values: Dinov2Model(Dinov2Config(**values)), BitImageProcessorPil, _cropped
    ),
    "resnet": Family(
        lambda values: ResNetModel(ResNetConfig(**values)),
        ConvNextImageProcessorPil,
        lambda side: {"size": {"shortest_edge": side}, "crop_pct": 1.0},
    ),
    "vit": Family(
        lambda values: ViTModel(ViTConfig(**values), add_pooling_layer=False),
        ViTImageProcessorPil,
        _exact,
    ),
}


def _objective(
    name: str, encoder: nn.Module, tokenizer: PreTrainedTokenizerFast, config: BuildConfig
) -> nn.Module:
    if name in ("clip", "siglip"):
        return Captions(encoder, tokenizer, config, is_sigmoid=name == "siglip")
    return MaskedPatches(encoder, config) if name == "dinov2" else Labels(encoder, config)


def patch_features(name: str, encoder: nn.Module, pixels: Tensor) -> Tensor:
    """Return an encoder's last features `[batch, 16, width]` without its class token."""
    states: Tensor = encoder(pixel_values=pixels).last_hidden_state
    if states.ndim == 4:
        return states.flatten(2).transpose(1, 2)
    return states if name == "siglip" else states[:, 1:]


@torch.no_grad()
def probe(features: Callable[[Tensor], Tensor], config: BuildConfig) -> float:
    """Return how well a ridge regression names the shapes of development scenes; chance is 1 / 8.

    Args:
        features: Maps pixels to patch features `[batch, 16, width]`.
        config: The build's values.

    Returns:
        Accuracy over the objects of two-object scenes, each read from the mean of its quadrant's
        patches.
    """
    n = 2 * config.check_items
    indices = np.arange(n)
    scenes = sample_scenes("development", indices, np.full_like(indices, 2))
    pixels = normalise(render(scenes, "textured"), config)
    patches = features(pixels)
    width = patches.shape[-1]
    quadrants = patches.view(n, 2, 2, 2, 2, width).mean(dim=(2, 4)).view(n, 4, width)
    told = quadrants[torch.from_numpy(scenes.present)].double()
    told = (told - told.mean(0)) / (told.std(0) + 1e-6)
    shapes = torch.from_numpy(scenes.shape[scenes.present])
    targets = torch.nn.functional.one_hot(shapes, len(SHAPES)).double()
    gram = told[:n].T @ told[:n] + _RIDGE * n * torch.eye(width, dtype=torch.float64)
    weights = torch.linalg.solve(gram, told[:n].T @ (targets[:n] - 1 / len(SHAPES)))
    return float(((told[n:] @ weights).argmax(1) == shapes[n:]).double().mean())


def build_encoder(
    name: str, tokenizer: PreTrainedTokenizerFast, config: BuildConfig, folder: Path
) -> None:
    """Train one encoder, print what its patches know and write it.

    Args:
        name: A key of `FAMILIES`.
        tokenizer: Ends texts with `</s>`.
        config: The build's values.
        folder: Where it is written.
    """
    torch.set_num_threads(config.encoders.threads)
    torch.manual_seed(config.seed)
    family = FAMILIES[name]
    encoder = family.make(config.encoders.models[name])
    objective = _objective(name, encoder, tokenizer, config)
    objective.train()
    train(name, objective.parameters(), config.encoders.optimiser, objective)
    encoder.eval()
    accuracy = probe(lambda pixels: patch_features(name, encoder, pixels), config)
    print(f"Encoder {name}: {accuracy:.3f} of shapes named by a linear probe")
    encoder.half().save_pretrained(folder)
    side = config.vision["image_size"]
    family.processor(
        **family.resizing(side), image_mean=config.image_mean, image_std=config.image_std
    ).save_pretrained(folder)
