"""What each family of tiny encoders is trained for: the objective its real models are known by.

No objective sees a question. Captions name one object of a scene and some of its looks and place, as
alt texts name some of what a photo shows. Captions that told everything would leave shapes unlearned:
among 128 images, colour, size and place already tell a pair from the others.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPTextConfig, CLIPTextModel, PreTrainedTokenizerFast

from ablate.world.rendering import render
from ablate.world.scenes import (
    COLOURS,
    QUADRANTS,
    SHAPES,
    SIZES,
    TEXTURES,
    Scenes,
    sample_scenes,
)
from ablate.world.streams import uniforms
from tiny.config import BuildConfig
from tiny.contrastive import normalise
from tiny.text import BOS_ID, EOS_ID, PAD_ID

_CLASSES = {
    "shape": len(SHAPES),
    "colour": len(COLOURS),
    "size": len(SIZES),
    "texture": len(TEXTURES),
}
_TEXTURE = list(_CLASSES).index("texture")


@dataclass(frozen=True)
class SceneBatch:
    """The images of one step.

    Attributes:
        scenes: What they show.
        pixels: `[batch, 3, 32, 32]`, normalised.
        textured: Whether textures are drawn.
    """

    scenes: Scenes
    pixels: Tensor
    textured: bool


def draw(config: BuildConfig, step: int, objects: list[int]) -> SceneBatch:
    """Draw the images of one step; a scene has one of the numbers of `objects`, in turn."""
    stage = config.encoders
    indices = np.arange(stage.optimiser.batch_size) + step * stage.optimiser.batch_size
    n_objects = np.array(objects)[indices % len(objects)]
    scenes = sample_scenes(_stream(config), indices, n_objects)
    style = stage.styles[step % len(stage.styles)]
    pixels = normalise(render(scenes, style), config)
    return SceneBatch(scenes, pixels, textured=style == "textured")


def _stream(config: BuildConfig) -> str:
    return f"encoders-{config.seed}"


def _attributes(batch: SceneBatch) -> NDArray[np.int64]:
    """Return shape, colour, size and texture of all quadrants `[batch, 4, 4]`; what is not drawn is 0."""
    scenes = batch.scenes
    texture = scenes.texture if batch.textured else np.zeros_like(scenes.texture)
    return np.stack([scenes.shape, scenes.colour, scenes.size, texture], axis=-1)


class Captions(nn.Module):
    """CLIP's and SigLIP's objective: an image and its caption find each other in a batch."""

    def __init__(
        self,
        encoder: nn.Module,
        tokenizer: PreTrainedTokenizerFast,
        config: BuildConfig,
        is_sigmoid: bool,
    ) -> None:
        """Add a text tower and projections, which are thrown away with the objective.

        CLIP pools its class token. SigLIP has none, and its pooling head would be thrown away too:
        its patches are averaged.

        Args:
            encoder: `CLIPVisionModel` or `SiglipVisionModel`.
            tokenizer: Ends texts with `</s>`.
            config: The build's values.
            is_sigmoid: Score every pair alone, as SigLIP does (Zhai et al., arXiv 2303.15343, eq. 1);
                otherwise softmax over the batch in both directions, as CLIP does.
        """
        super().__init__()
        self.encoder, self.is_sigmoid = encoder, is_sigmoid
        self._tokenizer, self._config = tokenizer, config
        width, out = config.encoders.width, config.projection_width
        self.image_projection = nn.Linear(width, out, bias=False)
        self.text = CLIPTextModel(
            CLIPTextConfig(
                **config.text,
                vocab_size=len(tokenizer),
                pad_token_id=PAD_ID,
                bos_token_id=BOS_ID,
                eos_token_id=EOS_ID,
            )
        )
        self.text_projection = nn.Linear(config.text["hidden_size"], out, bias=False)
        self.log_scale = nn.Parameter(torch.tensor(10.0).log())
        # The published -10 stands for batches of 32,768, where a pair is true by a chance of exp(-10).
        n_pairs = float(config.encoders.optimiser.batch_size)
        self.bias = nn.Parameter(-torch.tensor(n_pairs).log() * float(is_sigmoid))

    def forward(self, step: int) -> Tensor:
        """Return the loss of a step."""
        batch = draw(self._config, step, self._config.encoders.objects)
        captions, matches = self._captions(batch)
        output = self.encoder(pixel_values=batch.pixels)
        states = output.last_hidden_state
        pooled = states.mean(dim=1) if self.is_sigmoid else output.pooler_output
        tokens = self._tokenizer(captions, padding=True, return_tensors="pt")
        text = self.text(input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"])
        images = functional.normalize(self.image_projection(pooled), dim=-1)
        words = functional.normalize(self.text_projection(text.pooler_output), dim=-1)
        logits = self.log_scale.exp().clamp(max=100.0) * images @ words.T + self.bias
        if self.is_sigmoid:
            return -functional.logsigmoid((2 * matches - 1) * logits).sum(dim=1).mean()
        to_text = functional.cross_entropy(logits, matches / matches.sum(1, keepdim=True))
        to_image = functional.cross_entropy(logits.T, (matches / matches.sum(0)).T)
        return (to_text + to_image) / 2

    def _captions(self, batch: SceneBatch) -> tuple[list[str], Tensor]:
        """Name one object per scene, by its shape and whatever else is told of it.

        Returns:
            The captions and which of them are true of which images, `[image, caption]`.
        """
        scenes, values = batch.scenes, _attributes(batch)
        rows = np.arange(len(scenes))
        quadrant = np.array([(q := scenes.objects(i))[i % len(q)] for i in range(len(scenes))])
        shares = [1.0, *(self._config.encoders.told[name] for name in (*_CLASSES, "place")[1:])]
        chance = uniforms(f"{_stream(self._config)}/told", scenes.indices, len(shares))
        told = chance < np.array(shares)
        told[:, _TEXTURE] &= batch.textured
        named = values[rows, quadrant]
        # Axes: image, quadrant of the image, caption.
        fits = ((values[:, :, None] == named) | ~told[:, :-1]).all(axis=-1)
        fits &= (np.arange(4)[:, None] == quadrant) | ~told[:, -1]
        matches = (fits & scenes.present[:, :, None]).any(axis=1)
        captions = []
        for (shape, colour, size, texture), place, tells in zip(named, quadrant, told, strict=True):
            words = (SIZES[size], TEXTURES[texture], COLOURS[colour])
            looks = [word for word, tell in zip(words, tells[[2, 3, 1]], strict=True) if tell]
            where = [f"in the {QUADRANTS[place]}"] if tells[-1] else []
            captions.append(" ".join(["a", *looks, SHAPES[shape], *where]))
        return captions, torch.from_numpy(matches).float()


class Labels(nn.Module):
    """Supervised classification of one-object scenes, as ImageNet's models are trained."""

    def __init__(self, encoder: nn.Module, config: BuildConfig) -> None:
        """Add one linear head per attribute to a `ViTModel` or `ResNetModel`."""
        super().__init__()
        self.encoder, self._config = encoder, config
        width = config.encoders.width
        self.heads = nn.ModuleDict({name: nn.Linear(width, n) for name, n in _CLASSES.items()})

    def forward(self, step: int) -> Tensor:
        """Return the loss of a step."""
        batch = draw(self._config, step, objects=[1])
        states = self.encoder(pixel_values=batch.pixels).last_hidden_state
        pooled = states.mean(dim=(2, 3)) if states.ndim == 4 else states[:, 0]
        attributes = torch.from_numpy(_attributes(batch)[batch.scenes.present])
        losses = [
            functional.cross_entropy(head(pooled), attributes[:, column])
            for column, (name, head) in enumerate(self.heads.items())
            if name != "texture" or batch.textured
        ]
        return torch.stack(losses).mean()


class MaskedPatches(nn.Module):
    """Self-supervision: tell the pixels of masked patches from those around them.

    DINOv2 learns from two losses, self-distillation of whole images and prediction of masked patches.
    This is the second alone, with pixels as targets in place of a teacher's features, which cannot
    collapse in a short training.
    """

    def __init__(self, encoder: nn.Module, config: BuildConfig) -> None:
        """Add a linear decoder to a `Dinov2Model`."""
        super().__init__()
        self.encoder, self._config = encoder, config
        patch = config.vision["patch_size"]
        self.unfold = nn.Unfold(patch, stride=patch)
        self.decoder = nn.Linear(config.encoders.width, 3 * patch**2)

    def forward(self, step: int) -> Tensor:
        """Return the loss of a step."""
        stage = self._config.encoders
        batch = draw(self._config, step, stage.objects)
        n_patches = self._config.n_image_tokens
        order = uniforms(f"{_stream(self._config)}/masks", batch.scenes.indices, n_patches).argsort(
            axis=1
        )
        masked = torch.from_numpy(order < round(stage.masked_share * n_patches))
        states = self.encoder(batch.pixels, bool_masked_pos=masked).last_hidden_state[:, 1:]
        patches = self.unfold(batch.pixels).transpose(1, 2)
        return functional.mse_loss(self.decoder(states[masked]), patches[masked])
