"""Which tasks carry signal above their noise, and the mean centred accuracy over them.

The definition is that of Keh et al. (arXiv 2503.07603), the centring that of DCLM; the rules are
spelled out in docs/stable_scores.md.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ablate.results.record import StableRules, TaskResult


@dataclass(frozen=True)
class TaskNumbers:
    """What the runs of a sweep say of one task; scores are fractions, uncentred but for `centred`.

    Attributes:
        n: Items of the task, the fewest of any run.
        chance: What guessing scores.
        mean: Mean score over runs.
        centred: Mean centred score over runs.
        stderr: Standard error of `mean` over items; all runs answer the same items, so runs do not lower it.
        seed_sd: Standard deviation over seeds, pooled over points; None if no point has two.
        spread: Standard deviation of the points' means; None if there is one point.
        n_runs: Runs with the task.
        n_points: Points with the task.
    """

    n: int
    chance: float
    mean: float
    centred: float
    stderr: float | None
    seed_sd: float | None
    spread: float | None
    n_runs: int
    n_points: int


@dataclass(frozen=True)
class StableScore:
    """One run's score of one kind of task.

    Attributes:
        value: Mean centred accuracy over the stable tasks; None where there is none.
        stderr: Its standard error over items.
        note: Why there is no value.
    """

    value: float | None = None
    stderr: float | None = None
    note: str | None = None


def centred_accuracy(accuracy: float, chance: float) -> float:
    """Return (accuracy - chance) / (1 - chance): 0 at chance, 1 when all is right (DCLM).

    Args:
        accuracy: Share of right answers.
        chance: Share of right answers by guessing, below 1.

    Returns:
        The centred accuracy, negative below chance.
    """
    return (accuracy - chance) / (1 - chance)


def why_not_centred(task: TaskResult) -> str | None:
    """Say why a task has no centred score, or return None where it has one."""
    if task.value is None:
        return "has no value"
    if task.chance is None or task.chance >= 1:
        return "has no chance level below 1"
    return None


def mean_centred(tasks: Sequence[TaskResult]) -> StableScore:
    """Average the centred accuracy of tasks; every task counts the same, whatever its size.

    The standard error is sqrt(sum of (stderr / (1 - chance))^2) / k for k tasks: over items, of this one run.

    Args:
        tasks: At least one task, each with a centred score.
    """
    values, errors = [], []
    for task in tasks:
        if task.value is None or task.chance is None:
            raise ValueError(f"Task '{task.task}' {why_not_centred(task)}.")
        values.append(centred_accuracy(task.value, task.chance))
        errors.append(None if task.stderr is None else task.stderr / (1 - task.chance))
    known = [error for error in errors if error is not None]
    stderr = math.hypot(*known) / len(tasks) if len(known) == len(tasks) else None
    return StableScore(math.fsum(values) / len(tasks), stderr)


def stable_score(
    tasks: Mapping[str, TaskResult], stable: Sequence[str], needed: Sequence[str]
) -> StableScore:
    """Return one run's score of one kind.

    Args:
        tasks: The run's tasks of this kind by name.
        stable: Names of the stable tasks.
        needed: Names of the tasks without any of which there is no score.
    """
    missing = [name for name in needed if name not in tasks]
    if missing:
        return StableScore(note=_missing(missing))
    for name in needed:
        if why := why_not_centred(tasks[name]):
            return StableScore(note=f"task '{name}' {why}")
    if not stable:
        return StableScore(note="no task is stable")
    return mean_centred([tasks[name] for name in stable])


def task_numbers(points: Sequence[Sequence[TaskResult]]) -> TaskNumbers | None:
    """Sum up one task over the runs of a sweep.

    Args:
        points: For each point, the task in the run of each seed.

    Returns:
        The numbers, or None if no run has a centred score of the task.
    """
    points = [
        kept for point in points if (kept := [task for task in point if not why_not_centred(task)])
    ]
    runs = [task for point in points for task in point]
    if not runs:
        return None
    # `statistics` is exact: equal scores have a deviation of 0, not of a rounding error.
    chance = statistics.mean(task.chance for task in runs if task.chance is not None)
    scores = [[task.value for task in point if task.value is not None] for point in points]
    point_means = [statistics.mean(point) for point in scores]
    mean = statistics.mean(score for point in scores for score in point)
    errors = [task.stderr for task in runs if task.stderr is not None]
    deviations = [statistics.variance(point) * (len(point) - 1) for point in scores if point[1:]]
    degrees = len(runs) - len(points)
    return TaskNumbers(
        n=min(task.n for task in runs),
        chance=chance,
        mean=mean,
        centred=centred_accuracy(mean, chance),
        stderr=statistics.mean(errors) if len(errors) == len(runs) else None,
        seed_sd=math.sqrt(math.fsum(deviations) / degrees) if degrees else None,
        spread=statistics.stdev(point_means) if len(points) > 1 else None,
        n_runs=len(runs),
        n_points=len(points),
    )


def judge(numbers: TaskNumbers | None, rules: StableRules) -> tuple[bool, str]:
    """Decide from the runs of a sweep whether a task is stable.

    Returns:
        Whether it is, and why.
    """
    if numbers is None:
        return False, "no run has a score"
    if numbers.stderr is None:
        return False, "no standard error: its noise is not known"
    if not numbers.mean - numbers.chance > rules.noise_multiple * numbers.stderr:
        return False, (
            f"{numbers.mean:.3f} is not above chance {numbers.chance:.3f} by more than "
            f"{rules.noise_multiple:g} standard errors of {numbers.stderr:.3f}"
        )
    noise, spread = numbers.seed_sd, numbers.spread
    if noise is None:
        return True, "above chance; one seed: seed noise not known"
    if spread is None:
        return True, f"above chance; one point: nothing to hold seed noise {noise:.3f} against"
    if noise == 0 and spread == 0:
        return True, "above chance; the same in every run"
    told = f"seed noise {noise:.3f} of spread {spread:.3f}"
    negligible = rules.negligible_noise * numbers.stderr
    if noise < rules.largest_noise_share * spread:
        return True, f"above chance; {told}"
    if noise <= negligible:
        return True, f"above chance; {told}, within the items' noise {negligible:.3f}"
    allowed = max(negligible, rules.largest_noise_share * spread)
    return False, f"{told}, allowed {allowed:.3f}"


def _missing(names: Sequence[str]) -> str:
    quoted = ", ".join(f"'{name}'" for name in names)
    return f"task {quoted} is missing" if len(names) == 1 else f"tasks {quoted} are missing"
