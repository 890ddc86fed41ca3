"""First stage: a CLIP from scratch, whose patches also name what is in each quadrant."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPModel, PreTrainedTokenizerFast

from ablate.world import glyphs
from ablate.world.rendering import render
from ablate.world.scenes import COLOURS, SHAPES, SIZES, TEXTURES, Scenes, sample_scenes
from ablate.world.streams import uniforms
from tiny.config import BuildConfig
from tiny.text import caption
from tiny.training import train

# What a quadrant is named by; the last class of each means that nothing is there.
_NAMED = {
    "shape": len(SHAPES) + 1,
    "colour": len(COLOURS) + 1,
    "texture": len(TEXTURES) + 1,
    "size": len(SIZES) + 1,
}


def normalise(images: NDArray[np.uint8], config: BuildConfig) -> Tensor:
    """Turn RGB images `[n, 32, 32, 3]` into the encoder's input `[n, 3, 32, 32]`."""
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255.0
    mean = torch.tensor(config.image_mean).view(3, 1, 1)
    std = torch.tensor(config.image_std).view(3, 1, 1)
    return (pixels - mean) / std


@dataclass(frozen=True)
class Batch:
    """Images and captions of one step; glyphs come after the scenes.

    Attributes:
        images: `[batch, 32, 32, 3]`.
        captions: One per image.
        matches: `[batch, batch]` whether a column's caption is true of a row's image.
        named: Per attribute, the class in each quadrant of every scene `[scenes, 4]`.
        glyph: Name of every glyph `[glyphs]`.
    """

    images: NDArray[np.uint8]
    captions: list[str]
    matches: Tensor
    named: dict[str, Tensor]
    glyph: Tensor


def _named(scenes: Scenes, textured: bool) -> dict[str, Tensor]:
    texture = scenes.texture if textured else np.zeros_like(scenes.texture)
    values = {
        "shape": scenes.shape,
        "colour": scenes.colour,
        "texture": texture,
        "size": scenes.size,
    }
    return {
        name: torch.from_numpy(np.where(scenes.present, values[name], _NAMED[name] - 1))
        for name in _NAMED
    }


def _matches(scenes: Scenes, tells_colour: NDArray[np.bool_], glyph: NDArray[np.int64]) -> Tensor:
    """Find which captions are true of which images: one-object captions may fit several."""
    n_scenes = len(scenes)
    matches = np.eye(n_scenes + len(glyph), dtype=bool)
    matches[n_scenes:, n_scenes:] = glyph[:, None] == glyph[None, :]
    single = np.flatnonzero(scenes.present.sum(axis=1) == 1)
    quadrant = scenes.present[single].argmax(axis=1)
    shape, colour = scenes.shape[single, quadrant], scenes.colour[single, quadrant]
    same_shape = shape[:, None] == shape[None, :]
    same_colour = colour[:, None] == colour[None, :]
    matches[np.ix_(single, single)] = same_shape & (same_colour | ~tells_colour[single][None, :])
    return torch.from_numpy(matches).float()


def make_batch(config: BuildConfig, step: int) -> Batch:
    """Draw the images and captions of one step."""
    stage = config.contrastive
    stream, size = f"contrastive-{config.seed}", stage.optimiser.batch_size
    n_glyphs = round(stage.glyph_share * size)
    indices = np.arange(size) + step * size
    chance = uniforms(f"{stream}/kind", indices, 3)[: size - n_glyphs]
    n_objects = np.where(
        chance[:, 0] < stage.one_object_share, 1, 2 + (3 * chance[:, 1]).astype(np.int64)
    )
    scenes = sample_scenes(stream, indices[: size - n_glyphs], n_objects)
    style = stage.styles[step % len(stage.styles)]
    choices = (chance[:, 2] * 2 * len(config.templates)).astype(int)
    told = [caption(scenes, i, config.templates, int(c)) for i, c in enumerate(choices)]
    glyph_images, glyph = glyphs.draw_glyphs(stream, indices[size - n_glyphs :])
    frames = [config.templates[int(i) % len(config.templates)] for i in range(n_glyphs)]
    return Batch(
        images=np.concatenate([render(scenes, style), glyph_images]),
        captions=[text for text, _ in told]
        + [frame.format(glyphs.NAMES[g]) for frame, g in zip(frames, glyph, strict=True)],
        matches=_matches(scenes, np.array([colour for _, colour in told]), glyph),
        named=_named(scenes, textured=style == "textured"),
        glyph=torch.from_numpy(glyph),
    )


class QuadrantNamer(nn.Module):
    """Names each quadrant, and a glyph, from the patch features that LLaVA reads."""

    def __init__(self, width: int) -> None:
        """Make one linear head per attribute."""
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.heads = nn.ModuleDict({name: nn.Linear(width, n) for name, n in _NAMED.items()})
        self.glyph = nn.Linear(width, len(glyphs.NAMES))

    def forward(self, patches: Tensor, batch: Batch) -> Tensor:
        """Return the mean loss of naming; `patches` is `[batch, 16, width]`."""
        n_scenes, width = len(batch.named["shape"]), patches.shape[-1]
        grid = self.norm(patches).view(-1, 2, 2, 2, 2, width)
        quadrants = grid.mean(dim=(2, 4)).view(-1, 4, width)
        loss = functional.cross_entropy(self.glyph(quadrants[n_scenes:].mean(1)), batch.glyph)
        for name, head in self.heads.items():
            logits = head(quadrants[:n_scenes]).flatten(0, 1)
            loss = loss + functional.cross_entropy(logits, batch.named[name].flatten())
        return loss / (1 + len(self.heads))


def _symmetric_loss(logits: Tensor, matches: Tensor) -> Tensor:
    """InfoNCE in both directions with all true pairs as equal targets."""
    image_to_text = functional.cross_entropy(logits, matches / matches.sum(1, keepdim=True))
    text_to_image = functional.cross_entropy(logits.T, (matches / matches.sum(0)).T)
    return (image_to_text + text_to_image) / 2


def train_clip(clip: CLIPModel, tokenizer: PreTrainedTokenizerFast, config: BuildConfig) -> None:
    """Train `clip` in place on scenes and captions."""
    namer = QuadrantNamer(config.vision["hidden_size"])

    def loss_of_step(step: int) -> Tensor:
        batch = make_batch(config, step)
        vision = clip.vision_model(
            pixel_values=normalise(batch.images, config), output_hidden_states=True
        )
        tokens = tokenizer(batch.captions, padding=True, truncation=True, return_tensors="pt")
        text = clip.text_model(
            input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]
        )
        image = functional.normalize(clip.visual_projection(vision.pooler_output), dim=-1)
        words = functional.normalize(clip.text_projection(text.pooler_output), dim=-1)
        logits = clip.logit_scale.exp().clamp(max=100.0) * image @ words.T
        naming: Tensor = namer(vision.hidden_states[-2][:, 1:], batch)
        return _symmetric_loss(logits, batch.matches) + config.contrastive.naming_weight * naming

    clip.train()
    train(
        "contrastive",
        [*clip.parameters(), *namer.parameters()],
        config.contrastive.optimiser,
        loss_of_step,
    )
    clip.eval()
