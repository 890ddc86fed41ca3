"""Pixel patterns with arbitrary names: they keep the tiny model's answers open to other words."""

import numpy as np
from numpy.typing import NDArray

from ablate.world.rendering import IMAGE_SIZE_PX
from ablate.world.scenes import COUNTS
from ablate.world.streams import uniforms

NAMES = (
    *COUNTS,
    *("T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag"),
    *(
        "Ankle boot",
        "cat",
        "dog",
        "bird",
        "fish",
        "horse",
        "car",
        "boat",
        "tree",
        "flower",
        "house",
    ),
    *("chair", "table", "cup", "bottle", "book", "clock", "key", "lamp", "apple", "bread"),
)
_CELLS = 6
_CELL_PX = 4


def draw_glyphs(
    stream: str, indices: NDArray[np.int64]
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Draw one glyph per image: its own 6 x 6 pattern in a random place, colour and background.

    Args:
        stream: Name of the random stream of places and colours; patterns are the same in all.
        indices: `[n]` which images of the stream.

    Returns:
        RGB images `[n, 32, 32, 3]` and the index of each one's name in `NAMES` `[n]`.
    """
    patterns = uniforms("glyph patterns", np.arange(len(NAMES)), _CELLS**2) < 0.5
    masks = patterns.reshape(-1, _CELLS, _CELLS).repeat(_CELL_PX, 1).repeat(_CELL_PX, 2)
    values = uniforms(f"{stream}/glyphs", indices, 7)
    name = (values[:, 0] * len(NAMES)).astype(np.int64)
    background = (0.05 + 0.3 * values[:, 1])[:, None, None, None]
    images = np.broadcast_to(background, (len(indices), IMAGE_SIZE_PX, IMAGE_SIZE_PX, 3)).copy()
    free_px = IMAGE_SIZE_PX - _CELLS * _CELL_PX
    corner = (values[:, 2:4] * (free_px + 1)).astype(np.int64)
    inside = np.arange(_CELLS * _CELL_PX)
    rows = (corner[:, :1] + inside)[:, :, None]
    columns = (corner[:, 1:] + inside)[:, None, :]
    image = np.arange(len(indices))[:, None, None]
    paint = (0.4 + 0.6 * values[:, 4:7])[:, None, None, :]
    patch = images[image, rows, columns]
    images[image, rows, columns] = np.where(masks[name][..., None], paint, patch)
    return np.rint(images * 255).astype(np.uint8), name
