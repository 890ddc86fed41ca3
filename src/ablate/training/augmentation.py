"""Random changes to training images: a crop, other colours, no colours; as torchvision makes them of PIL images."""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageEnhance
from torch import Tensor

from ablate.config.schema import AugmentConfig

# The sides of a crop are 3:4 to 4:3; so many are drawn before the middle of the image is taken.
_RATIOS = (3 / 4, 4 / 3)
_TRIES = 10
# PIL's circle of hues has 256 steps.
_HUES = 256


@dataclass(frozen=True)
class Change:
    """What is done to one image.

    Attributes:
        box: The part that is kept: left, top, right, bottom.
        colours: Changes of its colours in their order, each a key of `COLOURS` with its factor; a hue's is a share of
            the circle.
        is_grey: Whether the colours are taken away at last.
    """

    box: tuple[int, int, int, int]
    colours: tuple[tuple[str, float], ...]
    is_grey: bool


@dataclass(frozen=True)
class AugmentedImages:
    """Training images that are decoded and changed anew each time they are read.

    Attributes:
        read: Decodes the images of some rows as RGB.
        config: What is done to them.
        side_px: Side of the square that they become.
    """

    read: Callable[[Sequence[int]], list[Image.Image]]
    config: AugmentConfig
    side_px: int

    def __call__(self, indices: Tensor) -> Tensor:
        """Return the images at int64 `[n]` as uint8 `[n, 3, side_px, side_px]`, changed on all of torch's threads."""
        images = self.read(indices.tolist())
        changes = [drawn_change(image.size, self.config) for image in images]
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            done = pool.map(lambda i, c: changed(i, c, self.side_px), images, changes)
            pixels = np.stack([np.asarray(image) for image in done])
        return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()


def drawn_change(size: tuple[int, int], config: AugmentConfig) -> Change:
    """Draw a change from torch's generator.

    Args:
        size: Width and height of the image.
        config: What it is drawn from.
    """
    box = _box(*size, config.crop_scale)
    colours: tuple[tuple[str, float], ...] = ()
    if _happens(config.jitter_probability):
        order = torch.randperm(len(COLOURS)).tolist()
        widths = config.brightness, config.contrast, config.saturation
        factors = [_uniform(1 - width, 1 + width) for width in widths]
        factors.append(_uniform(-config.hue, config.hue))
        colours = tuple((tuple(COLOURS)[kind], factors[kind]) for kind in order)
    return Change(box, colours, _happens(config.grey_probability))


def changed(image: Image.Image, change: Change, side_px: int) -> Image.Image:
    """Crop an image, resize the crop to a square and change its colours."""
    image = image.convert("RGB").crop(change.box)
    image = image.resize((side_px, side_px), Image.Resampling.BICUBIC)
    for kind, factor in change.colours:
        image = COLOURS[kind](image, factor)
    return image.convert("L").convert("RGB") if change.is_grey else image


def _box(width: int, height: int, scale: tuple[float, float]) -> tuple[int, int, int, int]:
    """Draw a part of an image: a share of its area, sides in a ratio that is uniform in its logarithm."""
    for _ in range(_TRIES):
        area = width * height * _uniform(*scale)
        ratio = math.exp(_uniform(*map(math.log, _RATIOS)))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            top = int(torch.randint(height - h + 1, ()))
            left = int(torch.randint(width - w + 1, ()))
            return left, top, left + w, top + h
    # Of a long image no such share fits: the middle, as much as the ratios allow.
    w = min(width, round(height * _RATIOS[1]))
    h = min(height, round(width / _RATIOS[0]))
    left, top = (width - w) // 2, (height - h) // 2
    return left, top, left + w, top + h


def _brightness(image: Image.Image, factor: float) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(factor)


def _contrast(image: Image.Image, factor: float) -> Image.Image:
    return ImageEnhance.Contrast(image).enhance(factor)


def _saturation(image: Image.Image, factor: float) -> Image.Image:
    return ImageEnhance.Color(image).enhance(factor)


def _hue(image: Image.Image, shift: float) -> Image.Image:
    """Turn the hue of every pixel by `shift` of the circle, -0.5 to 0.5."""
    hue, saturation, value = image.convert("HSV").split()
    steps = int(shift * (_HUES - 1))
    turned = hue.point([(step + steps) % _HUES for step in range(_HUES)])
    return Image.merge("HSV", (turned, saturation, value)).convert("RGB")


COLOURS: dict[str, Callable[[Image.Image, float], Image.Image]] = {
    "brightness": _brightness,
    "contrast": _contrast,
    "saturation": _saturation,
    "hue": _hue,
}


def _uniform(low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand((), dtype=torch.float64))


def _happens(probability: float) -> bool:
    return float(torch.rand((), dtype=torch.float64)) < probability
