"""How a vision model wants its images: its own PIL preprocessing, resized where the configuration says so."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from transformers import SiglipImageProcessorPil
from transformers.image_processing_utils import BaseImageProcessor

from ablate.config.errors import ConfigError
from ablate.models.pretrained import load_image_processor
from ablate.models.settings import readable

_RAW_MEAN, _RAW_STD = 0.5, 0.5


def load_preprocessing(
    source: str, revision: str | None, image_size: int | None
) -> BaseImageProcessor:
    """Load the preprocessing that a vision model was saved with.

    Args:
        source: Folder or hub id of the vision model.
        revision: Its hub revision.
        image_size: Side in pixels to resize to, in place of the preprocessing's own; None to leave it.

    Raises:
        ConfigError: If there is none, or if it does more than resize, crop and normalise to one square.
    """
    processor = load_image_processor(source, revision)
    with readable(
        f"The preprocessing of vision model '{source}' fails", "save its preprocessing again."
    ):
        if image_size is not None:
            _resize_to(processor, image_size)
        _check(processor, source)
    return processor


def raw_preprocessing(image_size: int) -> BaseImageProcessor:
    """Return the preprocessing of raw patches: the whole image in a square, pixels in -1..1, as SigLIP's."""
    return SiglipImageProcessorPil(
        size={"height": image_size, "width": image_size},
        image_mean=[_RAW_MEAN] * 3,
        image_std=[_RAW_STD] * 3,
    )


def normalisation(processor: BaseImageProcessor) -> tuple[list[float], list[float]]:
    """Return mean and standard deviation of the three channels, of pixels in 0..1."""
    settings = processor.to_dict()
    if not settings["do_normalize"]:
        return [0.0] * 3, [1.0] * 3
    return _channels(settings["image_mean"]), _channels(settings["image_std"])


def image_side(processor: BaseImageProcessor) -> int:
    """Return the side in pixels of the square that a preprocessed image fills."""
    return int(resized(processor, [_probe()]).shape[-1])


def resized(processor: BaseImageProcessor, images: Sequence[Image.Image]) -> Tensor:
    """Resize and crop images, without normalising: uint8 `[n, 3, height, width]`."""
    rgb = [image.convert("RGB") for image in images]
    batch = processor(rgb, do_rescale=False, do_normalize=False, return_tensors="pt")
    pixels: Tensor = batch["pixel_values"]
    return pixels.to(torch.uint8)


def padded(image: Image.Image, colour: tuple[int, int, int]) -> Image.Image:
    """Make an image square with bars of one colour on its short side, as LLaVA-1.5 does (arXiv 2310.03744).

    An odd pixel of the bars stands below or to the right.
    """
    width, height = image.size
    if width == height:
        return image
    side = max(width, height)
    square = Image.new("RGB", (side, side), colour)
    square.paste(image.convert("RGB"), ((side - width) // 2, (side - height) // 2))
    return square


def _channels(values: Any) -> list[float]:  # noqa: ANN401
    return [float(v) for v in values] if isinstance(values, list | tuple) else [float(values)] * 3


def _resize_to(processor: Any, image_size: int) -> None:  # noqa: ANN401
    """Change the side of the image; where it is cropped from a larger one, that grows in proportion."""
    size, crop = _given(processor.size), _given(getattr(processor, "crop_size", None))
    cropped = bool(getattr(processor, "do_center_crop", False)) and "height" in crop
    square = {"height": image_size, "width": image_size}
    if "shortest_edge" in size:
        factor = size["shortest_edge"] / crop["height"] if cropped else 1
        processor.size = {"shortest_edge": round(image_size * factor)}
    else:
        processor.size = square
    if cropped:
        processor.crop_size = square


def _given(size: Any) -> dict[str, int]:  # noqa: ANN401
    """Return the entries of a size that are given; transformers keeps the others as None."""
    return {key: value for key, value in dict(size or {}).items() if value is not None}


def _check(processor: BaseImageProcessor, source: str) -> None:
    """Refuse a preprocessing that pixels / 255 and one mean and deviation per channel do not repeat."""
    wanted: Tensor = processor([_probe()], return_tensors="pt")["pixel_values"]
    shape = tuple(wanted.shape)
    if len(shape) != 4 or shape[:2] != (1, 3) or shape[2] != shape[3]:
        raise ConfigError(
            f"The preprocessing of vision model '{source}' does not give a square RGB image, but "
            f"{shape}. Fix: set encoder.image_size, or choose another encoder."
        )
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in normalisation(processor))
    repeated = (resized(processor, [_probe()]) / 255 - mean) / std
    if not torch.allclose(repeated, wanted.float(), atol=1e-4):
        raise ConfigError(
            f"The preprocessing of vision model '{source}' ({type(processor).__name__}) does more than "
            f"resize, crop and normalise. Fix: choose another encoder."
        )


def _probe() -> Image.Image:
    """Return an image wider than high in which no two neighbours are alike."""
    levels = np.arange(48 * 64 * 3, dtype=np.int64).reshape(48, 64, 3) * 37 % 256
    return Image.fromarray(levels.astype(np.uint8))
