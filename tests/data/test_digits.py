import sys

import pytest
from sklearn.datasets import load_digits as load_scans

from ablate.config.errors import ConfigError
from ablate.config.schema import DigitsData
from ablate.recipes.data import load_data


def _config(**changes):
    values = {
        "kind": "digits",
        "name": "digits",
        "question": "Which digit?",
        "templates": ("the digit {}",),
        "scoring": "answers",
        "shots": 20,
        "sessions": 1,
        "test_items": None,
        "test_fraction": 0.5,
        "split_seed": 0,
    }
    return DigitsData(**{**values, **changes})


def test_the_parts_hold_every_scan_once():
    data = load_data(_config())
    assert data.class_names == (
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
    )
    assert len(data.train.labels) + len(data.test.labels) == 1797
    assert len({*data.train.ids, *data.test.ids}) == 1797
    assert abs(len(data.test.labels) - 1797 / 2) < 10


def test_a_scan_is_dark_ink_on_white():
    data = load_data(_config())
    scans = load_scans()
    (image,) = data.test.images([3])
    number = int(data.test.ids[3].removeprefix("digit-"))
    assert (image.mode, image.size) == ("RGB", (8, 8))
    assert data.test.labels[3] == scans.target[number]
    for x, y in [(0, 0), (3, 4), (5, 2)]:
        level = round(255 * (1 - scans.images[number][y][x] / 16))
        assert image.getpixel((x, y)) == (level, level, level)


def test_the_fingerprint_follows_the_split():
    assert load_data(_config()).fingerprint == load_data(_config(shots=5)).fingerprint
    assert load_data(_config()).fingerprint != load_data(_config(split_seed=1)).fingerprint


def test_too_many_shots_name_the_class():
    with pytest.raises(ConfigError, match=r"data\.shots=150, but class 'eight' has only 87"):
        load_data(_config(shots=150))


def test_too_many_sessions_are_refused():
    with pytest.raises(ConfigError, match=r"data\.sessions=11 is more than the 10 classes"):
        load_data(_config(sessions=11))


def test_without_scikit_learn_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ConfigError, match=r"pip install 'ablate-vlm\[digits\]'"):
        load_data(_config())
