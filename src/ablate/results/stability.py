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
        seed_sd: Standard deviation over seeds, pooled over configurations; None if none has two.
        spread: Standard deviation of the configurations' means; None if there is one.
        n_runs: Runs with the task.
        n_points: Configurations with the task.
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
        value: Mean centred accuracy over the stable tasks; None without one.
        stderr: Its standard error over items.
        note: Why there is no value.
    """

    value: float | None = None
    stderr: float | None = None
    note: str | None = None


def centred_accuracy(accuracy: float, chance: float) -> float:
    """Return (accuracy - chance) / (1 - chance): 0 at chance, 1 when every answer is correct (DCLM).

    Args:
        accuracy: Share of correct answers.
        chance: Share of correct answers by guessing, below 1.

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


def task_numbers(by_configuration: Sequence[Sequence[TaskResult]]) -> TaskNumbers | None:
    """Sum up one task over the runs of a sweep.

    Args:
        by_configuration: For each configuration, the task in the run of each seed.

    Returns:
        The numbers, or None if no run has a centred score of the task.
    """
    groups = [
        kept
        for group in by_configuration
        if (kept := [task for task in group if not why_not_centred(task)])
    ]
    runs = [task for group in groups for task in group]
    if not runs:
        return None
    # `statistics` is exact: equal scores have a deviation of 0, not of a rounding error.
    chance = statistics.mean(task.chance for task in runs if task.chance is not None)
    scores = [[task.value for task in group if task.value is not None] for group in groups]
    group_means = [statistics.mean(group) for group in scores]
    mean = statistics.mean(score for group in scores for score in group)
    errors = [task.stderr for task in runs if task.stderr is not None]
    deviations = [statistics.variance(group) * (len(group) - 1) for group in scores if group[1:]]
    degrees = len(runs) - len(groups)
    return TaskNumbers(
        n=min(task.n for task in runs),
        chance=chance,
        mean=mean,
        centred=centred_accuracy(mean, chance),
        stderr=statistics.mean(errors) if len(errors) == len(runs) else None,
        seed_sd=math.sqrt(math.fsum(deviations) / degrees) if degrees else None,
        spread=statistics.stdev(group_means) if len(groups) > 1 else None,
        n_runs=len(runs),
        n_points=len(groups),
    )


def decide_stability(numbers: TaskNumbers | None, rules: StableRules) -> tuple[bool, str]:
    """Decide from the runs of a sweep whether a task is stable.

    Returns:
        Whether it is, and why.
    """
    if numbers is None:
        return False, "no run has a score"
    if numbers.stderr is None:
        return False, "no standard error: noise unknown"
    if not numbers.mean - numbers.chance > rules.noise_multiple * numbers.stderr:
        return False, (
            f"{numbers.mean:.3f} is not above chance {numbers.chance:.3f} by more than "
            f"{rules.noise_multiple:g} standard errors of {numbers.stderr:.3f}"
        )
    noise, spread = numbers.seed_sd, numbers.spread
    if noise is None:
        return True, "above chance; one seed: seed noise unknown"
    if spread is None:
        return (
            True,
            f"above chance; one configuration: no spread to compare seed noise {noise:.3f} with",
        )
    if noise == 0 and spread == 0:
        return True, "above chance; the same in every run"
    comparison = f"seed noise {noise:.3f} of spread {spread:.3f}"
    negligible = rules.negligible_noise * numbers.stderr
    if noise < rules.largest_noise_share * spread:
        return True, f"above chance; {comparison}"
    if noise <= negligible:
        return True, f"above chance; {comparison}, within the items' noise {negligible:.3f}"
    allowed = max(negligible, rules.largest_noise_share * spread)
    return False, f"{comparison}, allowed {allowed:.3f}"


def _missing(names: Sequence[str]) -> str:
    quoted = ", ".join(f"'{name}'" for name in names)
    return f"task {quoted} is missing" if len(names) == 1 else f"tasks {quoted} are missing"
