from collections import Counter

import pytest
import torch
from PIL import Image

from ablate.config.errors import ConfigError
from ablate.data.few_shot import (
    check_shots,
    class_sessions,
    decode,
    few_shot_indices,
    session_indices,
    stratified_split,
)
from ablate.data.types import Groups

LABELS = [k % 3 for k in range(60)]


def test_every_class_gets_exactly_its_shots():
    drawn = few_shot_indices(LABELS, 5, 0)
    assert Counter(LABELS[i] for i in drawn) == {0: 5, 1: 5, 2: 5}
    assert len(set(drawn)) == 15


def test_the_draw_depends_on_the_seed_alone():
    assert few_shot_indices(LABELS, 5, 1) == few_shot_indices(LABELS, 5, 1)
    assert few_shot_indices(LABELS, 5, 1) != few_shot_indices(LABELS, 5, 2)
    # The draw that stands in finished tables: a change of it would change every result.
    assert few_shot_indices(LABELS, 2, 0) == [24, 18, 40, 58, 38, 2]


def test_a_smaller_draw_is_part_of_a_larger_one():
    assert set(few_shot_indices(LABELS, 5, 0)) < set(few_shot_indices(LABELS, 20, 0))


def test_too_few_images_name_the_class():
    with pytest.raises(ConfigError, match=r"data\.shots=21, but class '0' has only 20"):
        few_shot_indices(LABELS, 21, 0)
    with pytest.raises(ConfigError, match="class 'dog' has only 0 training images"):
        check_shots([0, 0], 1, {0: "cat", 1: "dog"})


def test_the_split_holds_out_the_same_share_of_every_class():
    labels = [0] * 10 + [1] * 4 + [2] * 2
    train, test = stratified_split(labels, 0.3, 0)
    assert sorted(train + test) == list(range(16))
    assert Counter(labels[i] for i in test) == {0: 3, 1: 1, 2: 1}
    assert (train, test) == stratified_split(labels, 0.3, 0)
    assert test != stratified_split(labels, 0.3, 1)[1]


@pytest.mark.parametrize("fraction", [0.001, 0.999])
def test_both_parts_of_the_split_hold_every_class(fraction):
    train, test = stratified_split([0, 0, 0, 1, 1], fraction, 0)
    assert {0, 1} == {[0, 0, 0, 1, 1][i] for i in train} == {[0, 0, 0, 1, 1][i] for i in test}


def test_sessions_divide_the_classes_as_evenly_as_possible():
    assert class_sessions("abcdefg", 3) == ((0, 1, 2), (3, 4), (5, 6))
    assert class_sessions("abcd", 1) == ((0, 1, 2, 3),)


def test_sessions_are_as_listed_and_one_session_gets_them_all():
    listed = (("d", "a"), ("c",), ("b", "e"))
    assert class_sessions("abcde", 3, listed) == ((3, 0), (2,), (1, 4))
    assert class_sessions("abcde", 1, listed) == ((3, 0, 2, 1, 4),)


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        ((("a", "b"), ("x",)), "Unknown class in data.session_classes 'x'"),
        ((("a", "b"), ("a",)), "lists class 'a' twice"),
        ((("a", "b", "c"),), r"data\.sessions=2, but data\.session_classes lists 1 sessions"),
    ],
)
def test_lists_that_are_no_division_of_the_classes_are_refused(listed, message):
    with pytest.raises(ConfigError, match=message):
        class_sessions("abc", 2, listed)


def test_shots_of_a_session_are_drawn_from_all_its_parts():
    parts = Groups(("a", "b", "c"), LABELS)
    drawn = session_indices(parts, (0, 2), 1, 30, "session", 0)
    assert len(set(drawn)) == 30
    assert {LABELS[i] for i in drawn} == {0, 2}
    assert set(session_indices(parts, (0, 2), 1, 10, "session", 0)) < set(drawn)
    assert session_indices(parts, (0, 2), 0, 30, "session", 0) != drawn
    # Per class it is the draw of old.
    own = session_indices(parts, (2, 0), 0, 2, "class", 0)
    assert own == [i for i in few_shot_indices(LABELS, 2, 0) if LABELS[i] in (0, 2)]
    with pytest.raises(
        ConfigError, match=r"shots=41 for each session, but session 1 of 1 has only"
    ):
        session_indices(parts, (0, 2), 0, 41, "session", 0)


def test_more_sessions_than_classes_are_refused():
    with pytest.raises(ConfigError, match=r"data\.sessions=4 is more than the 3 classes"):
        class_sessions("abc", 4)


class _Greys:
    """Image i is a plain square of grey level i."""

    labels = tuple(i % 2 for i in range(250))
    ids = tuple(f"grey-{i}" for i in range(250))

    def images(self, indices):
        self.largest_chunk = max(getattr(self, "largest_chunk", 0), len(indices))
        return [Image.new("RGB", (4, 4), (i, i, i)) for i in indices]


def test_images_are_decoded_in_order_and_in_chunks(tiny_random_vlm):
    source = _Greys()
    indices = [*range(249, -1, -1), *range(250)]
    images = decode(source, indices, tiny_random_vlm.resize)
    assert images.pixels.dtype == torch.uint8
    assert images.pixels.shape == (500, 3, 16, 16)
    assert images.pixels[:, 1, 3, 3].tolist() == indices
    assert images.labels.tolist() == [i % 2 for i in indices]
    assert images.ids[0] == "grey-249"
    assert source.largest_chunk <= 256
