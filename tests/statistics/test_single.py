"""One seed, or no items: known cases."""

import numpy as np
import pytest
from scipy import stats

from ablate.statistics.crossed import Stratum
from ablate.statistics.single import SEED_NOISE_UNKNOWN, mcnemar, one_seed, over_seeds


def test_mcnemar_exact_where_few_items_changed():
    """10 better, 2 worse: 2 P(X <= 2) of 12 fair coins, 2 (1 + 12 + 66) / 4096."""
    found = mcnemar(10, 2, 100)
    assert found.test == "McNemar, exact"
    assert found.p == pytest.approx(2 * 79 / 4096)
    assert found.difference == pytest.approx(0.08)
    assert found.notes == (SEED_NOISE_UNKNOWN,)


def test_mcnemar_with_continuity_correction_where_many_did():
    """59 against 6, the example of Agresti: (|59 - 6| - 1)^2 / 65 = 41.6."""
    found = mcnemar(59, 6, 1000)
    assert found.test == "McNemar"
    assert found.p == pytest.approx(stats.chi2.sf(52**2 / 65, 1))


def test_the_interval_has_a_width_where_no_item_changed():
    """Half an item in each cell: se = sqrt(1) / 102."""
    found = mcnemar(0, 0, 100)
    assert found.p == pytest.approx(1.0)
    assert found.interval == pytest.approx((-1.959964 / 102, 1.959964 / 102))


def test_right_and_wrong_items_are_tested_by_mcnemar():
    differences = np.zeros((1, 100))
    differences[0, :10], differences[0, 10:12] = 1.0, -1.0
    found = one_seed([Stratum(differences, np.arange(100))])
    assert found == mcnemar(10, 2, 100)


def test_clusters_and_graded_scores_are_tested_by_t_over_what_is_independent():
    differences = np.array([[1.0, 0.0, 0.0, 0.0, -0.3, 0.3, 0.6, 0.2]])
    found = one_seed([Stratum(differences, np.repeat(np.arange(4), 2))])
    means = np.array([0.5, 0.0, 0.0, 0.4])
    assert found.test == "t over items"
    assert found.p == pytest.approx(stats.ttest_1samp(means, 0).pvalue)
    assert found.notes == (SEED_NOISE_UNKNOWN,)


def test_numbers_without_items_are_tested_over_seeds():
    differences = np.array([1.0, 2.0, 4.0])
    found = over_seeds(differences)
    assert found.test == "paired t over seeds"
    assert found.p == pytest.approx(stats.ttest_1samp(differences, 0).pvalue)
    assert found.interval == pytest.approx(
        stats.ttest_1samp(differences, 0).confidence_interval(0.95)
    )


def test_what_does_not_vary_has_no_p():
    assert over_seeds(np.array([2.0])).p is None
    assert over_seeds(np.array([2.0])).notes == (SEED_NOISE_UNKNOWN,)
    assert over_seeds(np.array([0.1, 0.1, 0.1])).p is None
