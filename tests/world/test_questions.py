import re

import numpy as np
import pytest

from ablate.world.questions import ONE_OBJECT_QUESTIONS, QUESTIONS, describe
from ablate.world.rendering import render
from ablate.world.scenes import COLOURS, QUADRANTS, SHAPES, SIZES, TEXTURES, sample_scenes

INDICES = np.arange(64)
SINGLE = sample_scenes("tests", INDICES, np.ones_like(INDICES), INDICES % len(SHAPES))
MANY = sample_scenes("tests", INDICES, 1 + INDICES % 4)


@pytest.mark.parametrize("kind", QUESTIONS)
def test_answer_is_an_option_and_options_differ(kind):
    scenes = SINGLE if kind in ONE_OBJECT_QUESTIONS else MANY
    for scene in range(len(scenes)):
        question = QUESTIONS[kind](scenes, scene)
        assert question.answer in question.options
        assert len(set(question.options)) == len(question.options)


def test_one_object_answers_name_the_object():
    for scene in range(len(SINGLE)):
        quadrant = np.flatnonzero(SINGLE.present[scene])[0]
        expected = {
            "shape": SHAPES[scene % len(SHAPES)],
            "colour": COLOURS[SINGLE.colour[scene, quadrant]],
            "texture": TEXTURES[SINGLE.texture[scene, quadrant]],
            "size": SIZES[SINGLE.size[scene, quadrant]],
        }
        assert {kind: QUESTIONS[kind](SINGLE, scene).answer for kind in expected} == expected


def test_colour_answer_agrees_with_the_pixels():
    hues = {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1), "white": (1, 1, 1)}
    images = render(SINGLE, "filled").astype(float) / 255
    for scene in range(len(SINGLE)):
        answer = QUESTIONS["colour"](SINGLE, scene).answer
        pixels = images[scene].reshape(-1, 3)
        object_colour = pixels[np.abs(pixels - pixels[0]).sum(axis=1).argmax()]
        if answer in hues:
            assert tuple((object_colour > 0.5).astype(int)) == hues[answer]


def test_count_agrees_with_the_scene():
    words = {1: "one", 2: "two", 3: "three", 4: "four"}
    for scene in range(len(MANY)):
        assert QUESTIONS["count"](MANY, scene).answer == words[1 + scene % 4]


def test_place_agrees_with_the_description():
    for scene in range(len(MANY)):
        told = describe(MANY, scene, places=True)
        parts = re.findall(r"an? (\w+) (\w+) in the (\w+ \w+)", told)
        assert len(parts) == 1 + scene % 4
        places = {place: shape for _, shape, place in parts}
        assert set(places) == {QUADRANTS[q] for q in np.flatnonzero(MANY.present[scene])}
        question = QUESTIONS["place"](MANY, scene)
        place = question.text.removeprefix("what is in the ").removesuffix("?")
        assert places[place] == question.answer


def test_describe_question_tells_the_whole_scene():
    for scene in range(len(MANY)):
        answer = QUESTIONS["describe"](MANY, scene).answer
        assert answer == describe(MANY, scene, places=True)
        assert describe(MANY, scene, places=False) == re.sub(r" in the \w+ \w+", "", answer)
