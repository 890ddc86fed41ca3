"""Image files of any mode to RGB."""

import struct
import zlib
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, ImageOps

from ablate.config.errors import ConfigError
from ablate.config.text import printable

# What Pillow's decoders raise for a file that is not an image, a broken one, and one that claims a gigantic size.
_UNREADABLE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    NotImplementedError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


def read_rgb(file: Path | IO[bytes], name: str) -> Image.Image:
    """Decode an image file, turned as its EXIF orientation says.

    Args:
        file: The file, or its open content.
        name: What the user calls it.

    Returns:
        RGB: what is transparent becomes white, 16-bit grey keeps its upper 8 bits.

    Raises:
        ConfigError: If it is not an image, or a broken one.
    """
    return _decoded(file, name, whole=True)


def check_image(file: IO[bytes], name: str) -> None:
    """Decode an image as `read_rgb` does, and throw it away.

    All of its data are read, so one that was cut off or overwritten is found; a JPEG is decoded at
    an eighth of its size, in half of the time.

    Args:
        file: The open content of a file.
        name: What the user calls it.

    Raises:
        ConfigError: If `read_rgb` would raise one.
    """
    _decoded(file, name, whole=False)


def _decoded(file: Path | IO[bytes], name: str, whole: bool) -> Image.Image:
    try:
        with Image.open(file) as image:
            if image.format == "EPS":
                # Pillow would start Ghostscript, which runs the file as a program.
                raise ValueError("PostScript is a program, not an image")
            if not whole:
                image.draft(image.mode, (1, 1))
            return _as_rgb(ImageOps.exif_transpose(image))
    except _UNREADABLE as error:
        reason = printable(str(error)).partition("<_io.")[0].strip().rstrip(".")
        raise ConfigError(
            f"'{printable(name)}' cannot be decoded ({reason}). Remove or replace it."
        ) from error


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "F":
        # Pillow would take 0 to 1, the usual range, for black.
        raise ValueError("its pixels are fractions, whose range it does not say")
    if image.mode.startswith("I"):
        # Pillow would take 256 and more for white where the image has a transparent grey.
        values = np.asarray(image)
        grey = np.where(values == image.info.get("transparency"), 255, values.clip(0, 65535) // 256)
        return Image.fromarray(grey.astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")
