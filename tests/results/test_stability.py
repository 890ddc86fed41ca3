"""Stable scores by hand, and against a plain re-statement of their definition."""

import math
import random

import numpy as np
import pytest

from ablate.results.record import StableRules, TaskResult
from ablate.results.stability import (
    StableScore,
    centred_accuracy,
    decide_stability,
    mean_centred,
    stable_score,
    task_numbers,
)

RULES = StableRules(noise_multiple=2.0, negligible_noise=1.0, largest_noise_share=0.5)


def task(value: float | None, chance: float | None = 0.2, n: int = 400, name="count", **given):
    known = value is not None
    given.setdefault("stderr", math.sqrt(value * (1 - value) / n) if known else None)
    return TaskResult(name, "vision", "accuracy", value, None, chance, n, **given)


def decision(*groups, rules=RULES, **given):
    return decide_stability(
        task_numbers([[task(value, **given) for value in group] for group in groups]), rules
    )


@pytest.mark.parametrize(("value", "expected"), [(0.2, 0.0), (1.0, 1.0), (0.0, -0.25)])
def test_centred_accuracy_is_0_at_chance_and_1_at_best(value, expected):
    assert centred_accuracy(value, 0.2) == pytest.approx(expected)


def test_every_task_counts_the_same_and_below_chance_counts_against():
    tasks = [
        task(0.6, chance=0.2, n=10, stderr=0.04),  # centred 0.5, stderr 0.05
        task(0.25, chance=0.5, n=9000, stderr=0.06),  # centred -0.5, stderr 0.12
        task(0.3, chance=0.0, n=100, stderr=0.0),  # centred 0.3
    ]
    score = mean_centred(tasks)
    assert score.value == pytest.approx(0.1)
    assert score.stderr == pytest.approx(0.13 / 3)  # 5, 12, 13


def test_a_standard_error_needs_that_of_every_task():
    assert mean_centred([task(0.6), task(0.6, stderr=None)]) == StableScore(pytest.approx(0.5))


@pytest.mark.parametrize(
    ("tasks", "note"),
    [
        ({"a": task(0.6)}, "task 'b' is missing"),
        ({}, "tasks 'a', 'b' are missing"),
        ({"a": task(0.6), "b": task(None)}, "task 'b' has no value"),
        ({"a": task(0.6), "b": task(0.6, chance=None)}, "task 'b' has no chance level below 1"),
        ({"a": task(0.6), "b": task(1.0, chance=1.0)}, "task 'b' has no chance level below 1"),
    ],
)
def test_a_missing_task_makes_the_score_empty_and_says_why(tasks, note):
    assert stable_score(tasks, ["a"], ["a", "b"]) == StableScore(note=note)


def test_only_stable_tasks_are_averaged():
    tasks = {"a": task(0.6), "b": task(0.2), "c": task(1.0)}
    assert stable_score(tasks, ["a", "c"], list(tasks)).value == pytest.approx(0.75)
    assert stable_score(tasks, [], list(tasks)) == StableScore(note="no task is stable")


def test_numbers_of_a_task_by_hand():
    numbers = task_numbers(
        [[task(0.5, n=100, stderr=0.05), task(0.7, n=90, stderr=0.03)], [task(0.9, stderr=0.01)]]
    )
    assert numbers.n == 90
    assert numbers.mean == pytest.approx(0.7)
    assert numbers.centred == pytest.approx(0.625)
    assert numbers.stderr == pytest.approx(0.03)
    assert numbers.seed_sd == pytest.approx(math.sqrt(0.02))  # one degree of freedom
    assert numbers.spread == pytest.approx(math.sqrt(0.045))  # of 0.6 and 0.9
    assert (numbers.n_runs, numbers.n_points) == (3, 2)


def test_a_task_at_chance_is_not_stable():
    # The standard error is 0.02: 0.24 is exactly two above chance, which is not more than two.
    assert not decision([0.24], stderr=0.02)[0]
    assert decision([0.241], stderr=0.02)[0]
    stable, reason = decision([0.21, 0.23], [0.20, 0.22])
    assert not stable
    assert reason.startswith("0.215 is not above chance 0.200 by more than 2 standard errors")


def test_a_generated_answer_has_chance_0_and_none_right_is_not_above_it():
    assert not decision([0.0, 0.0], [0.0, 0.0], chance=0.0)[0]
    assert decision([0.1, 0.1], [0.1, 0.1], chance=0.0)[0]


def test_seed_noise_is_held_against_the_spread_between_points():
    # 0.1 around 0.5 and around 0.8: a standard deviation of 0.141, and 0.212 between the two.
    noisy, wide = [0.4, 0.6], [0.7, 0.9]
    stable, reason = decision(noisy, wide, stderr=0.02)
    assert not stable
    assert reason == "seed noise 0.141 of spread 0.212, allowed 0.106"
    lenient = StableRules(noise_multiple=2.0, negligible_noise=1.0, largest_noise_share=0.7)
    assert decision(noisy, wide, stderr=0.02, rules=lenient)[0]


def test_seed_noise_below_the_noise_of_the_items_is_none():
    # Equal configurations: no seed noise is small against their spread, but this one is no more than
    # answers that change at random would give.
    assert decision([0.50, 0.51], [0.51, 0.50], n=400)[0]
    assert not decision([0.50, 0.51], [0.51, 0.50], n=40_000)[0]
    literal = StableRules(noise_multiple=2.0, negligible_noise=0.0, largest_noise_share=0.5)
    assert not decision([0.50, 0.51], [0.51, 0.50], n=400, rules=literal)[0]


@pytest.mark.parametrize("value", [0.1 + 0.2, 0.7, 1.0])
@pytest.mark.parametrize("negligible_noise", [0.0, 1.0])
def test_a_suite_that_was_asked_once_has_no_noise(value, negligible_noise):
    rules = StableRules(
        noise_multiple=2.0, negligible_noise=negligible_noise, largest_noise_share=0.5
    )
    stable, reason = decision([value] * 3, [value] * 3, rules=rules)
    assert stable
    assert reason == "above chance; the same in every run"


def test_one_seed_or_one_point_leaves_the_second_rule_out_and_says_so():
    assert decision([0.4], [0.9]) == (True, "above chance; one seed: seed noise unknown")
    stable, reason = decision([0.4, 0.9])
    assert stable
    assert reason == "above chance; one configuration: no spread to compare seed noise 0.354 with"
    assert not decision([0.2], [0.2])[0]


def test_a_point_with_one_seed_still_has_a_mean():
    numbers = task_numbers([[task(0.5), task(0.6)], [task(0.9)]])
    assert numbers.seed_sd == pytest.approx(math.sqrt(0.005))
    assert numbers.spread == pytest.approx(math.sqrt(0.06125))


def test_what_has_no_score_or_no_known_noise_is_not_stable():
    assert decision() == (False, "no run has a score")
    assert decision([None]) == (False, "no run has a score")
    assert decision([0.9], stderr=None) == (False, "no standard error: noise unknown")


def plainly_stable(scores: np.ndarray, chance: float, n: int) -> bool:
    """Re-state the rules for scores [groups, seeds], by numpy."""
    noise = np.sqrt(scores * (1 - scores) / n).mean()
    if scores.mean() - chance <= 2 * noise:
        return False
    seed_sd = np.sqrt(scores.var(axis=1, ddof=1).mean())
    return bool(seed_sd <= noise or seed_sd < 0.5 * scores.mean(axis=1).std(ddof=1))


def test_verdicts_are_those_of_a_plain_restatement():
    draw = random.Random(0)
    verdicts = []
    for _ in range(300):
        centre, spread, noise = draw.uniform(0.2, 0.6), draw.uniform(0, 0.1), draw.uniform(0, 0.1)
        means = [centre + draw.gauss(0, spread) for _ in range(4)]
        groups = [
            [min(max(mean + draw.gauss(0, noise), 0.0), 1.0) for _ in range(3)] for mean in means
        ]
        stable, _ = decision(*groups)
        assert stable == plainly_stable(np.array(groups), 0.2, 400)
        verdicts.append(stable)
    assert 50 < sum(verdicts) < 250
