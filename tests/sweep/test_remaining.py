"""How long the rest of a sweep will take."""

import pytest

from ablate.sweep.remaining import seconds_left


def test_runs_take_as_long_as_others_of_their_configuration():
    assert seconds_left(["a", "a", "b"], {"a": [10.0, 14.0], "b": [60.0]}) == pytest.approx(84.0)


def test_a_configuration_without_a_finished_run_takes_as_long_as_all_did():
    assert seconds_left(["a", "c"], {"a": [10.0], "b": [40.0]}) == pytest.approx(10.0 + 25.0)


def test_before_a_run_has_ended_nothing_is_known_and_at_the_end_nothing_is_left():
    assert seconds_left(["a"], {}) is None
    assert seconds_left([], {"a": [10.0]}) == 0
