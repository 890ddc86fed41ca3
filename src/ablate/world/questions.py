"""Texts about a scene: captions, descriptions, one-answer questions."""

from collections.abc import Callable
from dataclasses import dataclass

from ablate.world.scenes import (
    COLOURS,
    COUNTS,
    QUADRANTS,
    SHAPES,
    SIZES,
    TEXTURES,
    Scenes,
)


@dataclass(frozen=True)
class Question:
    """A question about one scene.

    Attributes:
        text: The question.
        answer: Its only correct answer.
        options: Every possible answer, the correct one included.
    """

    text: str
    answer: str
    options: tuple[str, ...]


def _only_object(scenes: Scenes, scene: int) -> int:
    (quadrant,) = scenes.objects(scene)
    return quadrant


def shape_question(scenes: Scenes, scene: int) -> Question:
    """Ask for the shape of a scene's only object."""
    shape = scenes.shape[scene, _only_object(scenes, scene)]
    return Question("what shape is there?", SHAPES[shape], SHAPES)


def colour_question(scenes: Scenes, scene: int) -> Question:
    """Ask for the colour of a scene's only object."""
    colour = scenes.colour[scene, _only_object(scenes, scene)]
    return Question("what colour is it?", COLOURS[colour], COLOURS)


def texture_question(scenes: Scenes, scene: int) -> Question:
    """Ask for the texture of a scene's only object, to be drawn in a textured style."""
    texture = scenes.texture[scene, _only_object(scenes, scene)]
    return Question("is it plain or striped?", TEXTURES[texture], TEXTURES)


def size_question(scenes: Scenes, scene: int) -> Question:
    """Ask for the size of a scene's only object."""
    size = scenes.size[scene, _only_object(scenes, scene)]
    return Question("is it small or big?", SIZES[size], SIZES)


def count_question(scenes: Scenes, scene: int) -> Question:
    """Ask for the number of objects."""
    n_objects = len(scenes.objects(scene))
    return Question("how many shapes are there?", COUNTS[n_objects], COUNTS[1:5])


def place_question(scenes: Scenes, scene: int) -> Question:
    """Ask for the shape in one of the filled quadrants, fixed by the scene's index."""
    objects = scenes.objects(scene)
    quadrant = objects[int(scenes.indices[scene]) % len(objects)]
    text = f"what is in the {QUADRANTS[quadrant]}?"
    return Question(text, SHAPES[scenes.shape[scene, quadrant]], SHAPES)


def describe_question(scenes: Scenes, scene: int) -> Question:
    """Ask for a description of all objects; the correct one is the only option."""
    answer = describe(scenes, scene, places=True)
    return Question("describe.", answer, (answer,))


QUESTIONS: dict[str, Callable[[Scenes, int], Question]] = {
    "shape": shape_question,
    "colour": colour_question,
    "texture": texture_question,
    "size": size_question,
    "count": count_question,
    "place": place_question,
    "describe": describe_question,
}

# Questions about "it": for scenes with one object only.
ONE_OBJECT_QUESTIONS = frozenset({"shape", "colour", "texture", "size"})


def describe(scenes: Scenes, scene: int, places: bool) -> str:
    """Name the colour and shape of every object in reading order, with its quadrant if `places`."""
    parts = []
    for quadrant in scenes.objects(scene):
        colour = COLOURS[scenes.colour[scene, quadrant]]
        phrase = f"{_article(colour)} {colour} {SHAPES[scenes.shape[scene, quadrant]]}"
        parts.append(f"{phrase} in the {QUADRANTS[quadrant]}" if places else phrase)
    return " and ".join(parts)


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"
