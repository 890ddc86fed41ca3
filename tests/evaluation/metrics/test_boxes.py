import pytest

from ablate.evaluation.metrics.boxes import box_in, intersection_over_union


@pytest.mark.parametrize(
    ("text", "box"),
    [
        ("[0.1, 0.2, 0.3, 0.4]", (0.1, 0.2, 0.3, 0.4)),
        ("the box is (10, 20, 30, 40).", (10, 20, 30, 40)),
        ("<box>1 2 3 4</box>", (1, 2, 3, 4)),
        (".5,.5,1,1", (0.5, 0.5, 1, 1)),
        ("2 boxes: [1, 2, 3, 4]", (1, 2, 3, 4)),
        ("-1, 0, 2, 2", (-1, 0, 2, 2)),
        ("1, 2, 3", None),
        ("3, 2, 1, 4", None),
        ("1, 2, 3, 2", None),
        ("", None),
    ],
)
def test_a_box_is_read_from_text(text, box):
    assert box_in(text) == box


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ((0, 0, 2, 2), (0, 0, 2, 2), 1),
        ((0, 0, 2, 2), (1, 0, 3, 2), 1 / 3),
        ((0, 0, 4, 4), (1, 1, 2, 2), 1 / 16),
        ((0, 0, 1, 1), (2, 2, 3, 3), 0),
        ((0, 0, 1, 1), (1, 0, 2, 1), 0),
        ((0, 0, 0, 0), (0, 0, 0, 0), 0),
    ],
)
def test_intersection_over_union(one, other, expected):
    assert intersection_over_union(one, other) == pytest.approx(expected)
    assert intersection_over_union(other, one) == pytest.approx(expected)
