"""The CSV files of a sweep: rebuilt from its run folders, never appended to."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from ablate.config.text import printable
from ablate.results.columns import (
    COLUMNS,
    SESSION_COLUMNS,
    SETTING_COLUMNS,
    STABLE_TASK_COLUMNS,
    TASK_COLUMNS,
)
from ablate.results.files import locked, remove_temporary, replacing
from ablate.results.record import DamagedRecordError, RunRecord, SessionResult, TaskResult
from ablate.results.run_folder import RunFolder
from ablate.results.settings import setting_columns
from ablate.results.stable_scores import stable_scores

SUMMARY = "summary.csv"
_REBUILT = ("results.csv", "tasks.csv", "sessions.csv", "stable_tasks.csv")
_RESULTS, _TASKS, _SESSIONS, _STABLE_TASKS = _REBUILT
TABLES = (*_REBUILT, SUMMARY)
# What pandas reads as a missing value: as text it would be lost.
_READ_AS_MISSING = frozenset(
    {
        "#N/A",
        "#N/A N/A",
        "#NA",
        "-1.#IND",
        "-1.#QNAN",
        "-NaN",
        "-nan",
        "1.#IND",
        "1.#QNAN",
        "<NA>",
        "N/A",
        "NA",
        "NULL",
        "NaN",
        "None",
        "n/a",
        "nan",
        "null",
    }
)
_FORMULA = ("=", "+", "-", "@")


@dataclass(frozen=True)
class SweepRuns:
    """What the run folders of a sweep hold.

    Attributes:
        records: Every run that can be read, ordered by ablation, value and seed.
        damaged: Why a run cannot be read, by run id.
    """

    records: list[RunRecord]
    damaged: dict[str, str]


@dataclass(frozen=True)
class Tables:
    """The rows of a sweep's CSV files, as values; a file is the same with its texts made safe.

    Attributes:
        results: results.csv, one row for each record, in their order.
        tasks: tasks.csv.
        sessions: sessions.csv.
        stable_tasks: stable_tasks.csv.
    """

    results: pd.DataFrame
    tasks: pd.DataFrame
    sessions: pd.DataFrame
    stable_tasks: pd.DataFrame


def tables_of(records: Sequence[RunRecord]) -> Tables:
    """Return the rows that runs give; stability is decided from these runs."""
    scores, decisions = stable_scores(records)
    rows = [record.row | columns for record, columns in zip(records, scores, strict=True)]
    results = pd.DataFrame(rows)
    extra = [column for column in results.columns if column not in COLUMNS]
    results = results.reindex(columns=[*COLUMNS, *extra])
    # As they are: beside an empty cell a whole number would become one with a fraction.
    for column in ("value", *SETTING_COLUMNS):
        results[column] = pd.Series([row.get(column) for row in rows], results.index, dtype=object)
    settings = pd.DataFrame(setting_columns(records), index=results.index, dtype=object)
    tasks = [(record, task) for record in records for task in record.tasks]
    sessions = [(record, session) for record in records for session in record.sessions]
    return Tables(
        pd.concat([results, settings], axis="columns"),
        _details(tasks, TASK_COLUMNS),
        _details(sessions, SESSION_COLUMNS),
        pd.DataFrame(decisions, columns=list(STABLE_TASK_COLUMNS)),
    )


def rebuild(sweep_folder: Path) -> pd.DataFrame:
    """Rebuild the CSV files from the run folders that have something to say.

    Always results.csv and tasks.csv; sessions.csv and stable_tasks.csv where runs had sessions or a suite.
    Stability is decided again from the runs so far: stable scores may change until a sweep is complete.
    Several processes may call this at once: a lock orders them and a rename publishes each file whole.
    A run whose record is damaged is left out.

    Args:
        sweep_folder: `outputs/<name>`.

    Returns:
        The rows of results.csv.
    """
    sweep_folder.mkdir(parents=True, exist_ok=True)
    with locked(sweep_folder / ".lock"):
        remove_temporary(sweep_folder)
        records = read_runs(sweep_folder).records
        tables = tables_of(records)
        write_table(tables.results, sweep_folder / _RESULTS)
        write_table(tables.tasks, sweep_folder / _TASKS)
        _write_if_any(tables.sessions, sweep_folder / _SESSIONS)
        _write_if_any(tables.stable_tasks, sweep_folder / _STABLE_TASKS)
    return tables.results


def read_stable_tasks(sweep_folder: Path) -> pd.DataFrame:
    """Return the rows of stable_tasks.csv as `rebuild` left them, none if there is no such file."""
    try:
        return pd.read_csv(sweep_folder / _STABLE_TASKS)
    except FileNotFoundError:
        return pd.DataFrame(columns=list(STABLE_TASK_COLUMNS))


def read_runs(sweep_folder: Path) -> SweepRuns:
    """Read every run of a sweep.

    A run in use by another process has no outcome yet and is left out.
    """
    records, damaged = [], {}
    for path in sorted((sweep_folder / "runs").glob("*/")):
        folder = RunFolder(sweep_folder, path.name)
        try:
            record = folder.read()
        except DamagedRecordError as error:
            damaged[path.name] = str(error)
            continue
        if record is not None and not (record.status == "interrupted" and folder.is_at_work()):
            records.append(record)
    return SweepRuns(sorted(records, key=record_order), damaged)


def as_text_cell(text: str) -> str:
    """Write a text so that it stays the text it is, in pandas and in a spreadsheet.

    Control characters are shown escaped. A leading apostrophe marks a text that pandas would read as
    missing (`NA`, `null`) or a spreadsheet as a formula (`=1+1`).
    """
    shown = printable(text)
    return f"'{shown}" if shown in _READ_AS_MISSING or shown.startswith(_FORMULA) else shown


def _details(
    rows: Sequence[tuple[RunRecord, TaskResult | SessionResult]], columns: tuple[str, ...]
) -> pd.DataFrame:
    """Return one row per detail, each with its run's id."""
    return pd.DataFrame(
        [{"run_id": record.row["run_id"], **asdict(detail)} for record, detail in rows],
        columns=list(columns),
    )


def record_order(record: RunRecord) -> tuple[str, bool, float, str, int, str]:
    """Sort numbers as numbers and words as words."""
    value = record.row.get("value")
    is_word = not isinstance(value, int | float)
    return (
        str(record.row.get("ablation") or ""),
        is_word,
        0.0 if is_word else float(value),  # type: ignore[arg-type]
        str(value),
        int(record.row["seed"] or 0),
        str(record.row["run_id"]),
    )


def _write_if_any(table: pd.DataFrame, path: Path) -> None:
    if len(table):
        write_table(table, path)
    else:
        path.unlink(missing_ok=True)


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a CSV file whole; integers stay integers where some cells are empty."""
    with replacing(path) as temporary:
        safe_table(table).to_csv(temporary, index=False)


def safe_table(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose texts and column names stay what they are, in pandas and in a spreadsheet."""
    safe = table.convert_dtypes().map(
        lambda cell: as_text_cell(cell) if isinstance(cell, str) else cell
    )
    safe.columns = [as_text_cell(str(column)) for column in safe.columns]
    return safe.convert_dtypes()
