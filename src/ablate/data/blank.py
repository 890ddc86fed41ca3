"""Data without their images: labels, texts and counts are real, what is shown is blank."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from PIL import Image

from ablate.data.types import (
    ImageClassification,
    ImageCollection,
    ImageQuestions,
    ImageSource,
    InstructionData,
)

BLANK = Image.new("RGB", (1, 1))


@dataclass(frozen=True)
class _BlankSource:
    """A split whose images are blank."""

    labels: Sequence[int]
    ids: Sequence[str]

    def images(self, indices: Sequence[int]) -> list[Image.Image]:
        """Return as many blank images."""
        return [BLANK] * len(indices)


def blank_images(source: ImageSource) -> ImageSource:
    """Return a split without its images: none is decoded."""
    return _BlankSource(source.labels, source.ids)


def without_images(
    data: ImageClassification | InstructionData,
) -> ImageClassification | InstructionData:
    """Return a data set without its images: none is decoded."""
    if isinstance(data, InstructionData):
        images: ImageCollection = _BlankSource((), data.images.ids)
        return replace(data, images=images)
    if isinstance(data, ImageQuestions):
        return replace(data, train=data.train.without_images(), test=data.test.without_images())
    return replace(data, train=blank_images(data.train), test=blank_images(data.test))
