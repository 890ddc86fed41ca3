"""What a data set looks like to the rest of ablate."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from PIL import Image

from ablate.config.errors import ConfigError

if TYPE_CHECKING:
    # Seconds to import, and a report that only looks at images needs none of it.
    import torch


class ImageSource(Protocol):
    """One split of a data set: labels in memory, images decoded on demand."""

    @property
    def labels(self) -> Sequence[int]:
        """Class index of every image, in the split's fixed order."""

    @property
    def ids(self) -> Sequence[str]:
        """Stable name of every image, unique within the split."""

    def images(self, indices: Sequence[int]) -> list[Image.Image]:
        """Decode the images at `indices` as RGB."""


@dataclass(frozen=True)
class Groups:
    """A division of the training images: into classes, or otherwise, such as by what a statement is about.

    Attributes:
        names: Of the groups.
        of: Group index of every training image.
    """

    names: tuple[str, ...]
    of: Sequence[int]


@dataclass(frozen=True)
class ImageClassification:
    """A classification data set that can be turned into questions about images.

    Attributes:
        name: Name of the data set, as it appears in the tables.
        class_names: One readable name per class index.
        question: The question whose answer is a class name.
        templates: CLIP prompts with one `{}` for the class name.
        train: Pool from which few-shot training images are drawn.
        test: Images that are evaluated and never trained on.
        fingerprint: Hash of what the data set holds, the images' content included, wherever it is stored.
        captions: A text about every training image, which CLIP may be trained on; None where there are none.
        groups: What sessions are made of, where that is not the classes.
    """

    name: str
    class_names: tuple[str, ...]
    question: str
    templates: tuple[str, ...]
    train: ImageSource
    test: ImageSource
    fingerprint: str
    captions: Sequence[str] | None = None
    groups: Groups | None = None

    @property
    def session_parts(self) -> Groups:
        """What sessions are made of."""
        return self.groups or Groups(self.class_names, self.train.labels)


class QuestionSource(ImageSource, Protocol):
    """One part of a data set whose every image has a question of its own; `labels` are those of its categories."""

    def questions(self, indices: Sequence[int]) -> "list[MultipleChoiceItem]":
        """Read the questions at `indices`; the image of each is its place among them."""

    def asked(self, indices: Sequence[int]) -> list[str]:
        """Return what is asked about the images at `indices`, without options."""

    def without_images(self) -> "QuestionSource":
        """Return the same questions about blank images: none is decoded."""


@dataclass(frozen=True)
class ImageQuestions(ImageClassification):
    """Questions about images, each with options of its own; its classes are the categories of the questions."""

    train: QuestionSource
    test: QuestionSource


@dataclass(frozen=True)
class LabelledImages:
    """Decoded images of one split, held in memory at the model's resolution.

    Attributes:
        pixels: uint8 `[n, 3, height, width]`, resized and cropped but not normalised.
        labels: int64 `[n]`.
        ids: Stable name of every image.
    """

    pixels: "torch.Tensor"
    labels: "torch.Tensor"
    ids: tuple[str, ...]


@dataclass(frozen=True)
class MultipleChoiceItem:
    """One question about one image.

    Attributes:
        id: Stable name of the item.
        image: Row of the image in its split's `pixels`; None for a text-only question.
        question: The question alone, without options.
        options: Answer texts, all different.
        answer: Index of the correct option.
        cluster: What items that are not independent share, such as their image; None for the item itself.
        is_statement: Whether the options are two words, for what is true and what is not, that the question itself asks
            for: where an answer is written, they are not listed under it, and it is read for the words.
    """

    id: str
    image: int | None
    question: str
    options: tuple[str, ...]
    answer: int
    cluster: str | None = None
    is_statement: bool = False


class ImageCollection(Protocol):
    """Images without labels, decoded on demand."""

    @property
    def ids(self) -> Sequence[str]:
        """Stable name of every image, unique within the collection."""

    def images(self, indices: Sequence[int]) -> list[Image.Image]:
        """Decode the images at `indices` as RGB."""


@dataclass(frozen=True)
class Conversation:
    """Questions with their answers, about one image or about none.

    Attributes:
        id: Name of the conversation, as its source has it.
        image: Row of the image in its collection; None for text alone.
        turns: At least one question and answer, in order; they contain no `<image>`.
    """

    id: str
    image: int | None
    turns: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class InstructionData:
    """Conversations that a vision-language model is trained on.

    Attributes:
        name: Name of the data, as it appears in the tables.
        conversations: All conversations; not empty.
        images: The images that they are about.
        fingerprint: Hash of what the data hold, the content of image files included, wherever they are stored.
    """

    name: str
    conversations: tuple[Conversation, ...]
    images: ImageCollection
    fingerprint: str

    def with_images_only(self) -> "InstructionData":
        """Leave out the text-only conversations: a projector alone learns nothing from them.

        Raises:
            ConfigError: If none has an image.
        """
        kept = tuple(item for item in self.conversations if item.image is not None)
        if not kept:
            raise ConfigError(
                f"No conversation of '{self.name}' has an image to align the projector on."
                " Add some, or leave that stage out: align=null."
            )
        return replace(self, conversations=kept)
