from collections import Counter

import numpy as np
import pytest

from ablate.config.errors import ConfigError
from ablate.config.schema import ShapesData
from ablate.world.scenes import SHAPES
from ablate.world.source import DRAWS, ShapesSource, load_shapes


def config(style="barred", draw="development"):
    return ShapesData(
        name="shapes",
        question="what shape is there?",
        templates=("a {}.",),
        scoring="answers",
        shots=50,
        sessions=1,
        test_items=None,
        kind="shapes",
        style=style,
        draw=draw,
    )


@pytest.mark.parametrize("draw", DRAWS)
def test_labels_are_balanced_and_ids_unique(draw):
    source = ShapesSource("filled", draw)
    counts = Counter(source.labels)
    assert sorted(counts) == list(range(len(SHAPES)))
    assert len(set(counts.values())) == 1
    assert len(set(source.ids)) == len(source.ids) == len(source.labels) == DRAWS[draw]
    assert DRAWS["train"] >= 60 * len(SHAPES)
    assert DRAWS["test"] >= 512


def test_draws_share_no_image():
    seen = [
        {image.tobytes() for image in ShapesSource("filled", draw).images(range(512))}
        for draw in DRAWS
    ]
    assert not seen[0] & seen[1]
    assert not seen[0] & seen[2]
    assert not seen[1] & seen[2]


def test_images_are_rgb_and_repeatable_in_any_order():
    source = ShapesSource("barred", "test")
    first, second = source.images([5, 900])
    assert first.mode == "RGB"
    assert first.size == (32, 32)
    again = ShapesSource("barred", "test").images([900, 5])
    assert np.array_equal(np.asarray(again[1]), np.asarray(first))
    assert np.array_equal(np.asarray(again[0]), np.asarray(second))


def test_source_and_target_show_the_same_scenes():
    filled = np.stack(ShapesSource("filled", "test").images(range(64)))
    barred = np.stack(ShapesSource("barred", "test").images(range(64)))
    assert 0.3 < (filled == barred).all(axis=-1).mean() < 0.9


def test_data_set_takes_its_words_from_the_configuration():
    data = load_shapes(config())
    assert data.class_names == SHAPES
    assert data.question == "what shape is there?"
    assert len(data.train.labels) == DRAWS["train"]
    assert len(data.test.labels) == DRAWS["development"]


def test_fingerprint_follows_the_content():
    assert load_shapes(config()).fingerprint == load_shapes(config()).fingerprint
    others = {
        load_shapes(config(*names)).fingerprint for names in [("filled",), ("barred", "test")]
    }
    assert len(others | {load_shapes(config()).fingerprint}) == 3


def test_unknown_style_names_the_nearest():
    with pytest.raises(ConfigError, match="Did you mean 'barred'"):
        load_shapes(config(style="bared"))
