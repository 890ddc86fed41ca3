"""The CSV files of a sweep: rebuilt from its run folders, never appended to."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd
from filelock import FileLock

from ablate.results.files import replacing
from ablate.results.record import (
    COLUMNS,
    SESSION_COLUMNS,
    STABLE_TASK_COLUMNS,
    TASK_COLUMNS,
    RunRecord,
    SessionResult,
    TaskResult,
)
from ablate.results.run_folder import RunFolder
from ablate.results.stable_scores import stable_scores

_STABLE_TASKS = "stable_tasks.csv"


def rebuild(sweep_folder: Path) -> pd.DataFrame:
    """Rebuild the CSV files from the run folders that have something to say.

    Always results.csv and tasks.csv; sessions.csv and stable_tasks.csv where runs had sessions or a suite.
    What is stable is decided anew from the runs there are: stable scores may move until a sweep is whole.
    Several processes may call this at once: a lock orders them and a rename publishes each file whole.

    Args:
        sweep_folder: `outputs/<name>`.

    Returns:
        The rows of results.csv.
    """
    sweep_folder.mkdir(parents=True, exist_ok=True)
    with FileLock(sweep_folder / ".lock"):
        records = read_records(sweep_folder)
        scores, decisions = stable_scores(records)
        rows = [record.row | columns for record, columns in zip(records, scores, strict=True)]
        results = pd.DataFrame(rows)
        extra = [column for column in results.columns if column not in COLUMNS]
        results = results.reindex(columns=[*COLUMNS, *extra])
        tasks = [(record, task) for record in records for task in record.tasks]
        sessions = [(record, session) for record in records for session in record.sessions]
        _write(results, sweep_folder / "results.csv")
        _write(_details(tasks, TASK_COLUMNS), sweep_folder / "tasks.csv")
        if sessions:
            _write(_details(sessions, SESSION_COLUMNS), sweep_folder / "sessions.csv")
        if decisions:
            table = pd.DataFrame(decisions, columns=list(STABLE_TASK_COLUMNS))
            _write(table, sweep_folder / _STABLE_TASKS)
        else:
            (sweep_folder / _STABLE_TASKS).unlink(missing_ok=True)
    return results


def read_stable_tasks(sweep_folder: Path) -> pd.DataFrame:
    """Return the rows of stable_tasks.csv as `rebuild` left them, none if there is no such file."""
    try:
        return pd.read_csv(sweep_folder / _STABLE_TASKS, keep_default_na=False, na_values=[""])
    except FileNotFoundError:
        return pd.DataFrame(columns=list(STABLE_TASK_COLUMNS))


def read_records(sweep_folder: Path) -> list[RunRecord]:
    """Read every run of a sweep, ordered by ablation, value and seed.

    A run that another process is at work on has no outcome yet and is left out.
    """
    records = []
    for path in sorted((sweep_folder / "runs").glob("*/")):
        folder = RunFolder(sweep_folder, path.name)
        record = folder.read()
        if record is None or (record.status == "interrupted" and folder.is_owned()):
            continue
        records.append(record)
    return sorted(records, key=_order)


def _details(
    rows: Sequence[tuple[RunRecord, TaskResult | SessionResult]], columns: tuple[str, ...]
) -> pd.DataFrame:
    """Return one row per detail, each with its run's id."""
    return pd.DataFrame(
        [{"run_id": record.row["run_id"], **asdict(detail)} for record, detail in rows],
        columns=list(columns),
    )


def _order(record: RunRecord) -> tuple[str, bool, float, str, int, str]:
    """Sort numbers as numbers and words as words."""
    value = record.row.get("value")
    is_word = not isinstance(value, int | float)
    return (
        str(record.row.get("ablation") or ""),
        is_word,
        0.0 if is_word else float(value),  # type: ignore[arg-type]
        str(value),
        int(record.row.get("seed", 0)),
        str(record.row["run_id"]),
    )


def _write(table: pd.DataFrame, path: Path) -> None:
    """Write a CSV file whole; integers stay integers where some cells are empty."""
    with replacing(path) as temporary:
        table.convert_dtypes().to_csv(temporary, index=False)
