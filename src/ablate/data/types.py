"""What a data set looks like to the rest of ablate."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from PIL import Image


class ImageSource(Protocol):
    """One split of a data set: labels at hand, images decoded only when asked for."""

    @property
    def labels(self) -> Sequence[int]:
        """Class index of every image, in the split's fixed order."""

    @property
    def ids(self) -> Sequence[str]:
        """Stable name of every image, unique within the split."""

    def images(self, indices: Sequence[int]) -> list[Image.Image]:
        """Decode the images at `indices` as RGB."""


@dataclass(frozen=True)
class ImageClassification:
    """A classification data set that can be asked as questions about images.

    Attributes:
        name: Name of the data set, as it stands in the tables.
        class_names: One readable name per class index.
        question: The question whose answer is a class name.
        templates: CLIP prompts with one `{}` for the class name.
        train: Pool from which few-shot training images are drawn.
        test: Images that are evaluated and never trained on.
        fingerprint: Hash of what the data set holds (for image files: their names and sizes), wherever it lies.
    """

    name: str
    class_names: tuple[str, ...]
    question: str
    templates: tuple[str, ...]
    train: ImageSource
    test: ImageSource
    fingerprint: str


@dataclass(frozen=True)
class LabelledImages:
    """Decoded images of one split, held in memory at the model's resolution.

    Attributes:
        pixels: uint8 `[n, 3, height, width]`, resized and cropped but not normalised.
        labels: int64 `[n]`.
        ids: Stable name of every image.
    """

    pixels: torch.Tensor
    labels: torch.Tensor
    ids: tuple[str, ...]


@dataclass(frozen=True)
class MultipleChoiceItem:
    """One question about one image.

    Attributes:
        id: Stable name of the item.
        image: Row of the image in its split's `pixels`; None for a text-only question.
        question: The question alone, without options.
        options: Answer texts, all different.
        answer: Index of the right option.
    """

    id: str
    image: int | None
    question: str
    options: tuple[str, ...]
    answer: int
