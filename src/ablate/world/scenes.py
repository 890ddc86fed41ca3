"""What a scene is: up to four coloured shapes, one in each quadrant of a 32-pixel image."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ablate.world.streams import uniforms

SHAPES = ("circle", "square", "triangle", "cross", "ring", "star", "diamond", "crescent")
COLOURS = ("red", "green", "blue", "yellow", "purple", "cyan", "orange", "white")
TEXTURES = ("plain", "striped")
SIZES = ("small", "big")
QUADRANTS = ("top left", "top right", "bottom left", "bottom right")
COUNTS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_VALUES_PER_OBJECT = 9


@dataclass(frozen=True)
class Scenes:
    """A batch of scenes, before they are drawn in a style.

    Attributes:
        stream: Name of the random stream that the scenes come from.
        indices: `[n]` index of every scene in its stream.
        present: `[n, 4]` whether a quadrant holds an object.
        shape: `[n, 4]` index into `SHAPES`; means nothing where nothing is present, like the next ones.
        colour: `[n, 4]` index into `COLOURS`.
        texture: `[n, 4]` index into `TEXTURES`.
        size: `[n, 4]` index into `SIZES`.
        jitter: `[n, 4, 3]` shift right, shift down and brightness, each uniform in 0..1.
        background: `[n]` grey level of the background, uniform in 0..1.
    """

    stream: str
    indices: NDArray[np.int64]
    present: NDArray[np.bool_]
    shape: NDArray[np.int64]
    colour: NDArray[np.int64]
    texture: NDArray[np.int64]
    size: NDArray[np.int64]
    jitter: NDArray[np.float64]
    background: NDArray[np.float64]

    def __len__(self) -> int:
        """Return the number of scenes."""
        return len(self.indices)

    def objects(self, scene: int) -> list[int]:
        """Return the quadrants of `scene` that hold an object, in reading order."""
        return [int(quadrant) for quadrant in np.flatnonzero(self.present[scene])]


def sample_scenes(
    stream: str,
    indices: NDArray[np.int64],
    n_objects: NDArray[np.int64],
    shapes: NDArray[np.int64] | None = None,
) -> Scenes:
    """Make the scenes of a stream.

    Args:
        stream: Name of the random stream; scene n of a stream is always the same.
        indices: `[n]` which scenes.
        n_objects: `[n]` objects in each scene, 1 to 4.
        shapes: `[n]` index into `SHAPES` that every object of a scene then has; None to draw them.

    Returns:
        The scenes, all objects plain or striped at random.
    """
    n = len(indices)
    values = uniforms(f"{stream}/scene", indices, 4 * _VALUES_PER_OBJECT + 1)
    objects = values[:, :-1].reshape(n, 4, _VALUES_PER_OBJECT)
    rank = objects[..., 0].argsort(axis=1).argsort(axis=1)
    drawn = (objects[..., 1] * len(SHAPES)).astype(np.int64)
    return Scenes(
        stream=stream,
        indices=indices,
        present=rank < n_objects[:, None],
        shape=drawn if shapes is None else np.broadcast_to(shapes[:, None], (n, 4)),
        colour=(objects[..., 2] * len(COLOURS)).astype(np.int64),
        texture=(objects[..., 3] * len(TEXTURES)).astype(np.int64),
        size=(objects[..., 4] * len(SIZES)).astype(np.int64),
        jitter=objects[..., 5:8],
        background=values[:, -1],
    )
