import random
import statistics

import pytest

from ablate.evaluation.metrics.accuracy import Accuracy
from ablate.evaluation.metrics.open_answers import (
    exact_match,
    f1,
    normalised_answer,
    vqa_accuracy,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The two cats.", "2 cats"),
        ("1,000", "1000"),
        ("3.5", "3.5"),
        ("U.S.A.", "usa"),
        ("red/blue", "red blue"),
        ("yes, it is", "yes it is"),
        ("T-shirt", "t shirt"),
        ("couldnt", "couldn't"),
        ("shouldnt've", "shouldn't've"),
        ("youre", "you're"),
        ("oclock", "o'clock"),
        ("well", "well"),
        ("none", "0"),
        (" a \n an\tthe ", ""),
    ],
)
def test_normalisation_is_the_official_one(text, expected):
    assert normalised_answer(text) == expected


@pytest.mark.parametrize(("n", "score"), [(0, 0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1), (10, 1)])
def test_vqa_accuracy_counts_people(n, score):
    answers = ["Two"] * n + ["three"] * (10 - n)
    assert vqa_accuracy("2.", answers) == pytest.approx(score)


def test_vqa_accuracy_is_the_mean_over_nine_of_ten():
    draw = random.Random(0)
    for _ in range(50):
        answers = [draw.choice("xyz") for _ in range(10)]
        subsets = [answers[:i] + answers[i + 1 :] for i in range(10)]
        plain = statistics.mean(min(subset.count("x") / 3, 1) for subset in subsets)
        assert vqa_accuracy("x", answers) == pytest.approx(plain)


def test_vqa_accuracy_of_too_few_people_is_refused():
    with pytest.raises(ValueError, match="3 answers; at least 4"):
        vqa_accuracy("x", ["x"] * 3)


@pytest.mark.parametrize(
    ("prediction", "answer", "right"),
    [
        ("Left.", "left", True),
        ("dining  table", "dining table", True),
        ("table", "dining table", False),
        ("the left", "left", False),
        ("", "left", False),
    ],
)
def test_exact_match(prediction, answer, right):
    assert exact_match(prediction, answer) is right


def test_f1_is_that_of_precision_and_recall():
    predictions = [True, True, True, False, None, False]
    answers = [True, True, False, True, True, False]
    precision, recall = 2 / 3, 2 / 4
    measured = f1(predictions, answers, "abcdef")
    assert measured.value == pytest.approx(2 * precision * recall / (precision + recall))
    assert measured.n == 6


def test_f1_of_always_yes_is_the_chance_level():
    assert f1([True] * 10, [True, False] * 5, "abcdefghij").value == pytest.approx(2 / 3)


def test_f1s_standard_error_is_that_of_resampling():
    draw = random.Random(1)
    answers = [draw.random() < 0.5 for _ in range(400)]
    predictions = [a if draw.random() < 0.8 else not a for a in answers]
    own = [str(n) for n in range(400)]
    measured = f1(predictions, answers, own)
    values = []
    for _ in range(400):
        rows = draw.choices(range(400), k=400)
        values.append(f1([predictions[r] for r in rows], [answers[r] for r in rows], own).value)
    assert measured.standard_error == pytest.approx(statistics.stdev(values), rel=0.15)


def test_f1s_standard_error_is_over_clusters():
    once = f1([True, False, None, True], [True, True, False, False], "abcd")
    twice = f1([True, False, None, True] * 2, [True, True, False, False] * 2, "abcd" * 2)
    assert twice.standard_error == pytest.approx(once.standard_error)


def test_f1_of_nothing_positive_is_no_measurement():
    assert f1([False, None], [False, False], "ab") == Accuracy(None, 2, None)
    with pytest.raises(ValueError, match="argument 2 is"):
        f1([True], [], [])
