"""The tiny world's instruction mix: one conversation about each scene, and questions about words alone."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ablate.config.errors import ConfigError, unknown
from ablate.config.schema import ShapesInstructData
from ablate.data.types import Conversation, InstructionData
from ablate.world.questions import ONE_OBJECT_QUESTIONS, QUESTIONS
from ablate.world.rendering import STYLES, render
from ablate.world.scenes import Scenes, sample_scenes
from ablate.world.streams import uniforms
from ablate.world.topics import TOPICS
from ablate.world.words import word_items

_SCENES_PER_CHUNK = 512
_SCENES_HASHED = 8
# The training draw of the words has no end; the items of two seeds lie this far apart in it.
_WORDS_PER_SEED = 1 << 32


@dataclass(frozen=True)
class _Chunk:
    """Some scenes of one style.

    Attributes:
        style: How they are drawn.
        scenes: The scenes.
        chances: `[n]` uniform in 0..1: decides the question about each.
    """

    style: str
    scenes: Scenes
    chances: NDArray[np.float64]

    def id(self, scene: int) -> str:
        return f"{self.style}-{self.scenes.stream}-{self.scenes.indices[scene]}"


@dataclass(frozen=True)
class _Drawings:
    """All scenes, drawn at the first look and held from then on: 3 KB each."""

    chunks: Sequence[_Chunk]

    @cached_property
    def ids(self) -> Sequence[str]:
        return [chunk.id(scene) for chunk in self.chunks for scene in range(len(chunk.scenes))]

    @cached_property
    def _pixels(self) -> NDArray[np.uint8]:
        return np.concatenate([render(chunk.scenes, chunk.style) for chunk in self.chunks])

    def images(self, indices: Sequence[int]) -> list[Image.Image]:
        return [Image.fromarray(self._pixels[index]) for index in indices]


def load_shapes_mix(config: ShapesInstructData) -> InstructionData:
    """Make the conversations that a configuration names.

    The scenes come from random streams of their own, which no evaluated draw reads; the word items
    from the training draw of `ablate.world.words`.

    Args:
        config: How many scenes in which styles, and which questions.

    Returns:
        One conversation of one turn for every scene, then those without an image; a topic of words
        is as frequent as any other.

    Raises:
        ConfigError: If a style or a kind of question does not exist, or none fits some scene.
    """
    _check(config)
    chunks = list(_chunks(config))
    questions = [item for chunk in chunks for item in _ask(chunk, config)]
    conversations = (
        *(Conversation(id_, image, (turn,)) for image, (id_, turn) in enumerate(questions)),
        *_words(config),
    )
    return InstructionData(
        name=config.name,
        conversations=conversations,
        images=_Drawings(chunks),
        fingerprint=_fingerprint(conversations, chunks),
    )


def _check(config: ShapesInstructData) -> None:
    for style in config.styles:
        if style not in STYLES:
            raise unknown("style in data.styles", style, STYLES)
    for kind in config.questions:
        if kind not in QUESTIONS:
            raise unknown("kind of question in data.questions", kind, QUESTIONS)
    for style in config.styles:
        for n_objects in config.objects:
            if not _fitting(config, style, n_objects):
                raise ConfigError(
                    f"No kind of data.questions ({', '.join(config.questions)}) fits a '{style}' scene"
                    f" of {n_objects} object{'s' * (n_objects > 1)}. Fix: give one that always fits"
                    " a weight, as in +data.questions.place=1."
                )


def _fitting(config: ShapesInstructData, style: str, n_objects: int) -> dict[str, float]:
    """Return the weights of the questions that fit a scene."""
    return {
        kind: weight
        for kind, weight in config.questions.items()
        if (n_objects == 1 or kind not in ONE_OBJECT_QUESTIONS)
        and (STYLES[style].textured or kind != "texture")
    }


def _chunks(config: ShapesInstructData) -> Iterator[_Chunk]:
    """Sample the scenes, style after style."""
    objects = np.array(config.objects)
    for number, style in enumerate(config.styles):
        stream = f"instruct-{config.seed}-{number}"
        n = len(range(number, config.scenes, len(config.styles)))
        for start in range(0, n, _SCENES_PER_CHUNK):
            indices = np.arange(start, min(start + _SCENES_PER_CHUNK, n))
            chances = uniforms(f"{stream}/conversation", indices, 2)
            n_objects = objects[(chances[:, 0] * len(objects)).astype(np.int64)]
            yield _Chunk(style, sample_scenes(stream, indices, n_objects), chances[:, 1])


def _ask(chunk: _Chunk, config: ShapesInstructData) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield the id and the one turn of every scene."""
    for scene, chance in enumerate(chunk.chances):
        weights = _fitting(config, chunk.style, len(chunk.scenes.objects(scene)))
        bounds = np.cumsum(list(weights.values()))
        chosen = int(np.searchsorted(bounds, chance * bounds[-1], side="right"))
        question = QUESTIONS[list(weights)[chosen]](chunk.scenes, scene)
        yield chunk.id(scene), (question.text, question.answer)


def _words(config: ShapesInstructData) -> Iterator[Conversation]:
    n_items = round(config.scenes * config.text_share / (1 - config.text_share))
    first = config.seed * _WORDS_PER_SEED
    for number, topic in enumerate(TOPICS):
        indices = range(first, first + len(range(number, n_items, len(TOPICS))))
        items = word_items(topic, "train", indices)
        for index, item in zip(indices, items, strict=True):
            yield Conversation(f"{topic}-{index}", None, ((item.text, item.answer),))


def _fingerprint(conversations: Sequence[Conversation], chunks: Sequence[_Chunk]) -> str:
    """Hash every conversation and scene, and the drawing of a few: all would take seconds."""
    digest = hashlib.sha256(repr(conversations).encode())
    for chunk in chunks:
        scenes = chunk.scenes
        parts = (scenes.present, scenes.shape, scenes.colour, scenes.texture, scenes.size)
        for part in (*parts, scenes.jitter, scenes.background):
            digest.update(part.tobytes())
        first = sample_scenes(
            scenes.stream, scenes.indices[:_SCENES_HASHED], scenes.present[:_SCENES_HASHED].sum(1)
        )
        digest.update(render(first, chunk.style).tobytes())
    return digest.hexdigest()
