from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from ablate.config.errors import ConfigError
from ablate.config.schema import ShapesInstructData
from ablate.world.conversations import load_shapes_mix
from ablate.world.rendering import render
from ablate.world.scenes import COLOURS, SHAPES, sample_scenes
from ablate.world.source import DRAWS, ShapesSource
from ablate.world.streams import uniforms
from ablate.world.topics import TOPICS
from ablate.world.words import word_items

WEIGHTS = {"shape": 2.0, "colour": 1.0, "texture": 1.0, "place": 1.0, "describe": 1.0}


def _config(**changes):
    values = {
        "kind": "shapes-instruct",
        "name": "mix",
        "styles": ("filled", "textured"),
        "scenes": 601,
        "objects": (1, 1, 2),
        "questions": WEIGHTS,
        "text_share": 0.25,
        "max_tokens": 64,
        "seed": 3,
    }
    return ShapesInstructData(**{**values, **changes})


@pytest.fixture(scope="module")
def data():
    return load_shapes_mix(_config())


def test_every_image_has_one_conversation_and_the_share_has_none(data):
    images = [item.image for item in data.conversations]
    assert images[:601] == list(range(601))
    assert images[601:] == [None] * 200
    assert all(len(item.turns) == 1 for item in data.conversations)
    ids = [item.id for item in data.conversations]
    assert len(set(ids)) == len(ids)
    assert list(data.images.ids) == ids[:601]
    assert Counter(id_.split("-")[0] for id_ in data.images.ids) == {"filled": 301, "textured": 300}


def test_the_largest_seed_has_its_own_words(data):
    largest = load_shapes_mix(_config(seed=2**31 - 1))
    texts = [{i.turns for i in d.conversations if i.image is None} for d in (data, largest)]
    assert len(texts[0] & texts[1]) < len(texts[1]) / 2


def test_images_are_the_scenes_in_their_style(data):
    for number, (style, first, n) in enumerate([("filled", 0, 301), ("textured", 301, 300)]):
        stream = f"instruct-3-{number}"
        indices = np.arange(n)
        chances = uniforms(f"{stream}/conversation", indices, 2)
        n_objects = np.array([1, 1, 2])[(chances[:, 0] * 3).astype(int)]
        drawn = render(sample_scenes(stream, indices, n_objects), style)
        images = data.images.images(range(first, first + n))
        assert np.array_equal(np.stack([np.asarray(image) for image in images]), drawn)


def test_answers_are_true(data):
    n_checked = 0
    for item in data.conversations[:601]:
        stream, index = item.id.split("-", 1)[1].rsplit("-", 1)
        ((question, answer),) = item.turns
        scene = sample_scenes(stream, np.array([int(index)]), np.array([1]))
        (quadrant,) = scene.objects(0)
        if question == "what shape is there?":
            assert answer == SHAPES[scene.shape[0, quadrant]]
            n_checked += 1
        elif question == "what colour is it?":
            assert answer == COLOURS[scene.colour[0, quadrant]]
            n_checked += 1
    assert n_checked > 100


def test_questions_are_drawn_by_weight_among_those_that_fit():
    one = load_shapes_mix(_config(scenes=6000, styles=("textured",), objects=(1,), text_share=0))
    counts = Counter(item.turns[0][0].split(" in the")[0] for item in one.conversations)
    assert counts["what shape is there?"] == pytest.approx(2000, abs=150)
    for question in ("what colour is it?", "is it plain or striped?", "what is", "describe."):
        assert counts[question] == pytest.approx(1000, abs=120)
    plain = load_shapes_mix(_config(styles=("filled",), objects=(1, 2), text_share=0))
    counts = Counter(item.turns[0][0].split(" in the")[0] for item in plain.conversations)
    assert set(counts) == {"what shape is there?", "what colour is it?", "what is", "describe."}


def test_words_come_from_the_training_draw_topic_by_topic(data):
    texts = data.conversations[601:]
    topics = Counter(item.id.split("-")[0] for item in texts)
    assert set(topics) == set(TOPICS)
    assert max(topics.values()) - min(topics.values()) <= 1
    for item in texts[:3] + texts[-3:]:
        topic, index = item.id.split("-")
        (question,) = word_items(topic, "train", [int(index)])
        assert item.turns == ((question.text, question.answer),)


def test_no_words_are_asked_for_a_share_of_zero():
    data = load_shapes_mix(_config(text_share=0))
    assert len(data.conversations) == 601


def test_no_image_is_one_that_is_evaluated(data):
    evaluated = {
        image.tobytes()
        for style in ("filled", "textured")
        for draw in DRAWS
        for image in ShapesSource(style, draw).images(range(512))
    }
    assert not evaluated & {image.tobytes() for image in data.images.images(range(601))}


def test_the_same_configuration_gives_the_same_data_and_another_seed_others(data):
    again = load_shapes_mix(_config())
    assert again.fingerprint == data.fingerprint
    assert again.conversations == data.conversations
    other = load_shapes_mix(_config(seed=4))
    assert other.fingerprint != data.fingerprint
    assert not {item.id for item in other.conversations} & {item.id for item in data.conversations}
    assert load_shapes_mix(_config(styles=("textured", "filled"))).fingerprint != data.fingerprint
    renamed = load_shapes_mix(replace(_config(), name="other"))
    assert renamed.fingerprint == data.fingerprint


def test_fewer_scenes_than_styles_are_possible():
    data = load_shapes_mix(_config(scenes=1, text_share=0))
    assert len(data.conversations) == len(data.images.images([0])) == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"styles": ("filed",)}, ["data.styles", "'filed'", "Did you mean 'filled'?"]),
        ({"questions": {"color": 1}}, ["data.questions", "Did you mean 'colour'?"]),
        (
            {"questions": {"shape": 1}},
            ["fits a 'filled' scene of 2 objects", "data.questions.place"],
        ),
        ({"questions": {"texture": 1}, "objects": (1,)}, ["fits a 'filled' scene of 1 object"]),
    ],
)
def test_what_cannot_be_asked_is_refused(changes, words):
    with pytest.raises(ConfigError) as caught:
        load_shapes_mix(_config(**changes))
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)
