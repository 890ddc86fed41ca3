import math
import random
import statistics

import pytest

from ablate.evaluation.metrics.accuracy import (
    Accuracy,
    control_change,
    mean_score,
    target_improvement,
)


def test_a_mean_score_of_independent_items_has_the_error_of_a_share():
    assert mean_score([True, True, False, False], "abcd") == Accuracy(0.5, 4, 0.25)
    assert mean_score([0.3, 0.9], "ab").standard_error == pytest.approx(0.3 / math.sqrt(2))
    share = mean_score([1] * 20 + [0] * 80, [str(n) for n in range(100)])
    assert share.standard_error == pytest.approx(math.sqrt(0.2 * 0.8 / 100))


def test_copies_of_an_item_in_its_cluster_leave_the_standard_error_as_it_is():
    once = mean_score([1, 0, 0, 1, 0.5], "abcde")
    thrice = mean_score([1, 0, 0, 1, 0.5] * 3, "abcde" * 3)
    assert thrice.standard_error == pytest.approx(once.standard_error)


def test_the_standard_error_over_clusters_is_that_of_resampling_them():
    draw = random.Random(1)
    clusters = [[float(draw.random() < rate)] * draw.randint(1, 4) for rate in [0.2, 0.9] * 100]
    flat = [(score, str(n)) for n, scores in enumerate(clusters) for score in scores]
    measured = mean_score(*zip(*flat, strict=True))
    values = []
    for _ in range(1000):
        drawn = [score for scores in draw.choices(clusters, k=200) for score in scores]
        values.append(statistics.fmean(drawn))
    assert measured.standard_error == pytest.approx(statistics.stdev(values), rel=0.1)


def test_without_a_second_cluster_there_is_no_standard_error():
    assert mean_score([], []) == Accuracy(None, 0, None)
    assert mean_score([1, 0], "aa") == Accuracy(0.5, 2, None)


def test_mean_score_refuses_lists_of_different_length():
    with pytest.raises(ValueError, match="argument 2 is longer"):
        mean_score([1], "ab")


def test_target_improvement_is_after_minus_before():
    assert target_improvement(0.25, 0.75) == 0.5
    assert target_improvement(None, 0.75) is None


def test_control_change_averages_over_data_sets_and_skips_missing_ones():
    assert control_change([(0.5, 0.25), (0.5, 0.625), (None, 0.5)]) == pytest.approx(-0.0625)
    assert control_change([(None, 0.5)]) is None
    assert control_change([]) is None
