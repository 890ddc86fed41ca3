"""One-object scenes as a classification data set: name the shape."""

import hashlib
from collections.abc import Sequence

import numpy as np
from PIL import Image

from ablate.config.errors import unknown
from ablate.config.schema import ShapesData
from ablate.data.types import ImageClassification
from ablate.world.rendering import STYLES, render
from ablate.world.scenes import SHAPES, sample_scenes

# Images in each draw. Draws are random streams of their own: no scene of one is known to another.
DRAWS = {"train": 64 * len(SHAPES), "development": 1024, "test": 1024}


class ShapesSource:
    """A draw of one-object scenes in a style; any prefix of whole rounds of classes is balanced."""

    def __init__(self, style: str, draw: str) -> None:
        """Name a draw in a style.

        Args:
            style: A key of `STYLES`.
            draw: A key of `DRAWS`.

        Raises:
            ConfigError: If one of them does not exist.
        """
        if style not in STYLES:
            raise unknown("style", style, STYLES)
        if draw not in DRAWS:
            raise unknown("draw", draw, DRAWS)
        self._style, self._draw = style, draw

    @property
    def labels(self) -> Sequence[int]:
        """Index into `SHAPES` of every image."""
        return [index % len(SHAPES) for index in range(DRAWS[self._draw])]

    @property
    def ids(self) -> Sequence[str]:
        """Style, draw and number of every image."""
        return [f"{self._style}-{self._draw}-{index}" for index in range(DRAWS[self._draw])]

    def images(self, indices: Sequence[int]) -> list[Image.Image]:
        """Draw the images at `indices`, 32 px square."""
        wanted = np.asarray(indices, dtype=np.int64)
        scenes = sample_scenes(self._draw, wanted, np.ones_like(wanted), wanted % len(SHAPES))
        return [Image.fromarray(pixels) for pixels in render(scenes, self._style)]


def load_shapes(config: ShapesData) -> ImageClassification:
    """Make the data set that a configuration names.

    Args:
        config: Style, test draw, question and templates.

    Returns:
        The training pool and the whole test draw in the configured style.

    Raises:
        ConfigError: If the style does not exist.
    """
    train = ShapesSource(config.style, "train")
    test = ShapesSource(config.style, config.draw)
    digest = hashlib.sha256(",".join(SHAPES).encode())
    for source in (train, test):
        for image in source.images(range(len(source.labels))):
            digest.update(image.tobytes())
    return ImageClassification(
        name=config.name,
        class_names=SHAPES,
        question=config.question,
        templates=config.templates,
        train=train,
        test=test,
        fingerprint=digest.hexdigest(),
    )
