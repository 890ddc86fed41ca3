"""Stable scores of a sweep's runs: decided for each ablation, filled in for each run."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from ablate.results.columns import SETTING_COLUMNS
from ablate.results.record import RunRecord, SuiteRecord, TaskResult
from ablate.results.stability import decide_stability, stable_score, task_numbers

KINDS = ("vision", "text")
# What distinguishes configurations where a record has no `config_id`.
_SETTINGS = ("value", *SETTING_COLUMNS)


def stable_scores(
    records: Sequence[RunRecord],
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Decide which tasks are stable and score every run on them.

    Runs of one ablation on one suite are decided together; failed runs do not count.

    Args:
        records: The runs of one sweep folder.

    Returns:
        For every record its columns of results.csv, empty where there is no suite; and the rows of
        stable_tasks.csv.
    """
    columns: list[dict[str, Any]] = [{} for _ in records]
    decisions: list[dict[str, Any]] = []
    groups: dict[tuple[object, str], tuple[SuiteRecord, list[int]]] = {}
    for position, record in enumerate(records):
        if record.suite is not None and record.status == "ok":
            key = (record.row.get("ablation"), json.dumps(asdict(record.suite), sort_keys=True))
            groups.setdefault(key, (record.suite, []))[1].append(position)
    for (ablation, _), (suite, positions) in groups.items():
        for kind in KINDS:
            rows = _decide([records[position] for position in positions], suite, kind)
            decisions += [{"ablation": ablation, "suite": suite.name, **row} for row in rows]
            for position in positions if rows else ():
                columns[position] |= _score(records[position], kind, rows)
    return columns, decisions


def tasks_of(record: RunRecord, kind: str) -> dict[str, TaskResult]:
    """Return a run's tasks of one kind by name."""
    return {task.task: task for task in record.tasks if task.kind == kind}


def _score(run: RunRecord, kind: str, decisions: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return one run's columns of one kind.

    `auto` needs every task of the suite, since all take part in the decision; a list only its own.
    """
    stable = [row["task"] for row in decisions if row["stable"]]
    needed = [row["task"] for row in decisions if row["stable"] or row["choice"] == "auto"]
    score = stable_score(tasks_of(run, kind), stable, needed)
    return {
        f"{kind}_stable_score": score.value,
        f"{kind}_stable_stderr": score.stderr,
        f"{kind}_stable_note": score.note,
    }


def _decide(runs: Sequence[RunRecord], suite: SuiteRecord, kind: str) -> list[dict[str, Any]]:
    """Return, for every task of a kind, whether it is stable, why, and its numbers."""
    listed = suite.stable.get(kind, "auto")
    names = dict.fromkeys(suite.expected.get(kind, []))
    if listed != "auto":
        names |= dict.fromkeys(listed)
    rows = []
    for name in names:
        groups = _by_configuration(runs, kind, name)
        numbers = task_numbers(groups)
        if listed == "auto":
            stable, reason = decide_stability(numbers, suite.rules)
        else:
            stable = name in listed
            reason = "listed in the configuration" if stable else "not listed in the configuration"
        rows.append(
            {
                "kind": kind,
                "task": name,
                "metric": next((task.metric for group in groups for task in group), None),
                "choice": "auto" if listed == "auto" else "list",
                "stable": stable,
                "reason": reason,
                **({"n_runs": 0, "n_points": 0} if numbers is None else asdict(numbers)),
            }
        )
    return rows


def _by_configuration(runs: Iterable[RunRecord], kind: str, name: str) -> list[list[TaskResult]]:
    """Return one task's results by configuration: runs that agree in everything but the seed."""
    groups: dict[object, list[TaskResult]] = {}
    for run in runs:
        task = tasks_of(run, kind).get(name)
        if task is not None:
            key = run.config_id or tuple(str(run.row.get(setting)) for setting in _SETTINGS)
            groups.setdefault(key, []).append(task)
    return list(groups.values())
