"""The crossed test against hand-worked numbers, and how often it errs on simulated runs."""

import numpy as np
import pytest
from scipy import stats

from ablate.statistics.crossed import Stratum, components, crossed, crossed_test

# Three seeds, four items: means over items 0.5, 0.25, 0.75, over seeds 1/3, 1/3, 2/3, 2/3.
WORKED = np.array([[1.0, 0.0, 0.0, 1.0], [0.0, 0.0, 1.0, 0.0], [0.0, 1.0, 1.0, 1.0]])


def alone(differences) -> Stratum:
    return Stratum(differences, np.arange(differences.shape[-1]))


def test_mean_squares_worked_by_hand():
    """The sum of squares about 1/2 is 12 / 4 = 3, of which seeds 4 * 0.125 and items 3 * 4 / 36; the rest is 13 / 6."""
    parts = components([alone(WORKED)])
    assert float(parts.difference) == pytest.approx(0.5)
    assert float(parts.seeds) == pytest.approx(0.5 / 2 / 12)
    assert float(parts.items[0]) == pytest.approx((1 / 3) / 3 / 12)
    assert float(parts.residual[0]) == pytest.approx((13 / 6) / 6 / 12)


def test_the_conservative_form_where_the_variance_would_be_negative():
    """MS are 1/4, 1/9 and 13/36: their sum without the last is 13/36, with it 0."""
    found = crossed(components([alone(WORKED)]))
    assert found.test == "crossed seeds and items, conservative"
    assert any("negative" in note for note in found.notes)
    assert found.se == pytest.approx(np.sqrt((1 / 4 + 1 / 9) / 12))
    df = (1 / 4 + 1 / 9) ** 2 / ((1 / 4) ** 2 / 2 + (1 / 9) ** 2 / 3)
    assert found.df == pytest.approx(df)
    assert found.p == pytest.approx(2 * stats.t.sf(0.5 / found.se, df))


def test_the_conservative_form_where_next_to_nothing_is_left_of_the_variance():
    """MS are 1/3, 1/12 and 1/3: an eleventh of a degree of freedom is left, whose t_0.975 has fifteen digits."""
    d = np.array([[1.0, 0.0, 1.0, 1.0], [0.0, 0.0, 0.0, 1.0], [0.0, 1.0, 0.0, 0.0]])
    parts = components([alone(d)])
    variance, df = parts.variance(conservative=False)
    assert float(variance) == pytest.approx((1 / 12) / 12)
    assert float(df) == pytest.approx(1 / 11)
    found = crossed(parts)
    assert any("close to it" in note for note in found.notes)
    assert found.se == pytest.approx(np.sqrt((1 / 3 + 1 / 12) / 12))
    assert found.df == pytest.approx((5 / 12) ** 2 / ((1 / 3) ** 2 / 2 + (1 / 12) ** 2 / 3))


def test_satterthwaite_as_the_formula_is_written():
    rng = np.random.default_rng(3)
    d = rng.normal(size=(4, 1)) + rng.normal(size=(1, 30)) + rng.normal(size=(4, 30))
    n_seeds, n_items = d.shape
    mean, rows, columns = d.mean(), d.mean(axis=1), d.mean(axis=0)
    ms_s = n_items * ((rows - mean) ** 2).sum() / (n_seeds - 1)
    ms_i = n_seeds * ((columns - mean) ** 2).sum() / (n_items - 1)
    rest = d - rows[:, None] - columns[None, :] + mean
    ms_e = (rest**2).sum() / ((n_seeds - 1) * (n_items - 1))
    top = ms_s + ms_i - ms_e
    below = ms_s**2 / (n_seeds - 1) + ms_i**2 / (n_items - 1)
    below += ms_e**2 / ((n_seeds - 1) * (n_items - 1))
    found = crossed(components([alone(d)]))
    assert found.test == "crossed seeds and items"
    assert found.se == pytest.approx(np.sqrt(top / (n_seeds * n_items)))
    assert found.df == pytest.approx(top**2 / below)


def test_two_seeds_are_said_to_be_unsafe():
    found = crossed(components([alone(WORKED[:2])]))
    assert any("two seeds" in note for note in found.notes)


def test_nothing_varies():
    same = crossed(components([alone(np.zeros((3, 50)))]))
    assert (same.difference, same.se, same.p, same.interval) == (0.0, None, 1.0, None)
    shifted = crossed(components([alone(np.full((3, 50), 0.1))]))
    assert shifted.difference == pytest.approx(0.1)
    assert shifted.se is None
    assert shifted.p == pytest.approx(2.0**-49)


def test_equal_clusters_are_their_means():
    rng = np.random.default_rng(5)
    items = rng.normal(size=(3, 60))
    clusters = np.repeat(np.arange(20), 3)
    shuffled = rng.permutation(60)
    found = components([Stratum(items[:, shuffled], clusters[shuffled])])
    means = components([alone(items.reshape(3, 20, 3).mean(axis=2))])
    for one, other in zip(vars(found).values(), vars(means).values(), strict=True):
        np.testing.assert_allclose(one, other)


def test_unequal_clusters_keep_the_mean_over_items():
    items = np.array([[1.0, 1.0, 1.0, 0.0], [0.0, 1.0, 1.0, 0.0]])
    stratum = Stratum(items, np.array([0, 0, 0, 1]))
    np.testing.assert_allclose(stratum.units.mean(axis=1), items.mean(axis=1))
    assert float(components([stratum]).difference) == pytest.approx(0.625)


def test_one_task_split_in_two_that_weigh_by_size_is_nearly_that_task():
    rng = np.random.default_rng(7)
    d = rng.normal(size=(5, 1)) * 0.1 + rng.normal(size=(1, 4000)) + rng.normal(size=(5, 4000))
    whole = crossed(components([alone(d)]))
    halves = [
        Stratum(half, np.arange(half.shape[1]), half.shape[1] / 4000)
        for half in (d[:, :1000], d[:, 1000:])
    ]
    split = crossed(components(halves))
    assert split.difference == pytest.approx(whole.difference)
    assert split.se == pytest.approx(whole.se, rel=0.02)


def simulated(n_seeds, seed_sd, item_sd, shift, n, tasks=1, n_items=768):
    """Paired differences of two values whose right answers follow a probit: `[repetitions, seeds, items]`."""
    rng = np.random.default_rng([n_seeds, int(100 * seed_sd), int(10 * item_sd), int(1000 * shift)])
    level, strata = 0.3, []
    effects = [rng.normal(0, seed_sd, (n, n_seeds, 1)) for _ in range(2)]
    # Under a difference in probability of `shift`, the probit of the mean moves by that over its density.
    spread = np.sqrt(2 + item_sd**2)
    moves = (shift * spread / stats.norm.pdf(level / spread), 0.0)
    for _ in range(tasks):
        base = rng.normal(size=(n, 1, n_items))
        sides = [
            stats.norm.cdf(level + base + move + seed + rng.normal(0, item_sd, (n, 1, n_items)))
            for move, seed in zip(moves, effects, strict=True)
        ]
        right = [rng.random(side.shape) < side for side in sides]
        differences = right[0].astype(float) - right[1]
        strata.append(Stratum(differences, np.arange(n_items), 1 / tasks))
    return components(strata)


@pytest.mark.parametrize("n_seeds", [3, 5, 10])
def test_the_error_rate_under_a_true_null(n_seeds):
    """Seeds and items both move the answers; 0.05 is nominal, and McNemar would err in a third of the cases."""
    p = crossed_test(simulated(n_seeds, 0.08, 0.5, 0.0, 600))[2]
    assert 0.03 <= (p < 0.05).mean() <= 0.08


def test_the_error_rate_over_several_tasks_that_share_their_seeds():
    p = crossed_test(simulated(5, 0.08, 0.5, 0.0, 600, tasks=3, n_items=256))[2]
    assert 0.03 <= (p < 0.05).mean() <= 0.08


def test_the_power_at_a_difference_of_0_05():
    """The reference simulation has 0.47, 0.75 and 0.96; another seed of 300 repetitions moves it by up to 0.1."""
    power = [
        (crossed_test(simulated(n, 0.08, 0.5, 0.05, 300))[2] < 0.05).mean() for n in (3, 5, 10)
    ]
    assert 0.3 < power[0] < 0.6
    assert 0.6 < power[1] < 0.85
    assert power[2] > 0.85
