import math

import pytest

from ablate.evaluation.metrics.accuracy import (
    Accuracy,
    accuracy,
    control_change,
    standard_error,
    target_improvement,
)


def test_accuracy_counts_an_item_without_prediction_as_wrong():
    assert accuracy([0, 1, None, 3], [0, 2, 0, 3]) == Accuracy(0.5, 4, 0.25)


def test_accuracy_of_nothing_is_no_measurement():
    assert accuracy([], []) == Accuracy(None, 0, None)


def test_accuracy_refuses_lists_of_different_length():
    with pytest.raises(ValueError, match="argument 2 is longer"):
        accuracy([1], [1, 2])


def test_standard_error_is_that_of_a_share():
    assert standard_error(0.2, 100) == pytest.approx(math.sqrt(0.2 * 0.8 / 100))
    assert standard_error(0.2, 0) is None


def test_target_improvement_is_after_minus_before():
    assert target_improvement(0.25, 0.75) == 0.5
    assert target_improvement(None, 0.75) is None


def test_control_change_averages_over_data_sets_and_skips_missing_ones():
    assert control_change([(0.5, 0.25), (0.5, 0.625), (None, 0.5)]) == pytest.approx(-0.0625)
    assert control_change([(None, 0.5)]) is None
    assert control_change([]) is None
