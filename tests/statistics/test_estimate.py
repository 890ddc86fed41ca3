"""Intervals, equivalence, Holm and what would decide."""

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from ablate.statistics.crossed import Components, Stratum, components, crossed_test
from ablate.statistics.estimate import Estimate, holm
from ablate.statistics.planning import Goal, needed, needed_seeds


def test_holm_worked_by_hand():
    """0.01 * 4, 0.02 * 3, then never below: 0.03 * 2 = 0.06, 0.04 becomes 0.06."""
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([]) == []


def test_holm_is_that_of_statsmodels():
    p_values = np.random.default_rng(0).random(40) ** 4
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1])


def test_two_one_sided_tests_worked_by_hand():
    """Difference 0.01, se 0.01, margin 0.04: z of 5 and 3, of which the smaller decides."""
    found = Estimate(0.01, 0.01, math.inf, 0.3, "z")
    assert found.p_equivalent(0.04) == pytest.approx(stats.norm.sf(3))
    assert found.p_equivalent(0.005) > 0.5
    assert Estimate(-0.01, 0.01, math.inf, 0.3, "z").p_equivalent(0.04) == pytest.approx(
        stats.norm.sf(3)
    )


def test_the_smallest_difference_that_could_have_been_shown():
    """Of a normal distribution (1.960 + 0.842) se; of t with 2 degrees 4.303 + 1.061."""
    assert Estimate(0.0, 0.01, math.inf, 1.0, "z").smallest_shown == pytest.approx(
        0.02802, abs=1e-5
    )
    assert Estimate(0.0, 0.01, 2, 1.0, "t").smallest_shown == pytest.approx(0.05363, abs=1e-5)


def test_needed_seeds_is_the_first_number_that_would_show_it():
    differences = np.array([0.00, 0.01, 0.05])
    found = needed_seeds(differences, Goal())

    def is_shown(n):
        se = differences.std(ddof=1) / math.sqrt(n)
        return differences.mean() > (stats.t.ppf(0.975, n - 1) + stats.t.ppf(0.8, n - 1)) * se

    assert is_shown(found)
    assert not is_shown(found - 1)
    assert needed_seeds(differences, Goal(n_tests=5)) > found
    assert needed_seeds(np.array([-0.01, 0.01]), Goal()) is None


def test_a_fixed_margin_can_be_reached_where_a_difference_could_not():
    assert needed_seeds(np.array([-0.01, 0.01]), Goal(margin=0.02)) is not None


def test_seeds_or_items_are_what_is_missing():
    """Where seeds make all the noise items alone never decide, and the other way round."""
    rng = np.random.default_rng(0)
    of_seeds = np.array([[0.0], [0.01], [0.05]]) + rng.normal(0, 1e-4, (3, 200))
    of_items = rng.normal(0, 0.2, (1, 200)) + rng.normal(0, 0.01, (3, 200))
    of_items = of_items + 0.01 - of_items.mean()

    def plan(differences):
        return needed(components([Stratum(differences, np.arange(200))]), 200, Goal())

    assert plan(of_seeds).items is None
    assert 4 <= plan(of_seeds).seeds <= 40
    assert plan(of_items).seeds is None
    # ((1.96 + 0.84) 0.2 / 0.01)^2 items, rounded up to two digits.
    assert plan(of_items).items == pytest.approx(3140, rel=0.15)


def test_of_runs_as_large_as_planned_four_fifths_show_the_difference():
    seed_sd, item_sd, rest_sd, n_items = 0.03, 0.1, 0.2, 300
    rest = rest_sd**2 / (3 * n_items)
    known = Components(
        np.array(0.03),
        3,
        (n_items,),
        np.array(seed_sd**2 / 3 + rest),
        (np.array(item_sd**2 / n_items + rest),),
        (np.array(rest),),
    )
    n = needed(known, n_items, Goal()).seeds
    rng = np.random.default_rng(1)
    differences = 0.03 + rng.normal(0, seed_sd, (400, n, 1))
    differences = differences + rng.normal(0, item_sd, (400, 1, n_items))
    differences = differences + rng.normal(0, rest_sd, (400, n, n_items))
    p = crossed_test(components([Stratum(differences, np.arange(n_items))]))[2]
    assert 0.72 < (p < 0.05).mean() < 0.9
