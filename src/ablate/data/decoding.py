"""Image files of any mode to RGB."""

from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, ImageOps

from ablate.config.errors import ConfigError

# What Pillow raises for a file that is no image, a broken one, and one that claims a gigantic size.
UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)


def read_rgb(file: Path | IO[bytes], name: str) -> Image.Image:
    """Decode an image file, turned as its EXIF orientation says.

    Args:
        file: The file, or its open content.
        name: What the user calls it.

    Returns:
        RGB: what is transparent becomes white, 16-bit grey keeps its upper 8 bits.

    Raises:
        ConfigError: If it is no image or a broken one.
    """
    try:
        with Image.open(file) as image:
            return _as_rgb(ImageOps.exif_transpose(image))
    except UNREADABLE as error:
        raise ConfigError(f"'{name}' cannot be decoded ({error}). Remove or replace it.") from error


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    if image.mode.startswith("I"):
        grey = np.asarray(image).clip(0, 65535) // 256
        return Image.fromarray(grey.astype(np.uint8)).convert("RGB")
    return image.convert("RGB")
