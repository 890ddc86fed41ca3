"""What a person reads on the terminal of runs: a line for each, and where the time went."""

from collections.abc import Iterator

import pandas as pd

from ablate.config.text import printable
from ablate.results.record import DamagedRecordError, RunRecord
from ablate.results.run_folder import RunFolder
from ablate.results.stability import mean_centred, why_not_centred
from ablate.results.stable_scores import KINDS, tasks_of

_STAGES = ("load_seconds", "importance_seconds", "train_seconds", "eval_seconds")


def outcome_line(folder: RunFolder) -> str:
    """Say how one run ended."""
    try:
        record = folder.read()
    except DamagedRecordError as error:
        return f"{folder.run_id}: {error}"
    if record is None:
        return f"{folder.run_id}: no result"
    row = record.row
    if record.status != "ok":
        return printable(f"{folder.run_id}: {record.status} {row.get('error') or ''}").rstrip()
    seconds = sum(float(row.get(stage) or 0.0) for stage in _STAGES)
    scores = ", ".join(_suite_words(record))
    measured = [*_accuracy_words(record), *([f"mean centred accuracy {scores}"] if scores else [])]
    return f"{folder.run_id}: {', '.join(measured) or 'ok'} ({seconds:.1f} s)"


def _accuracy_words(record: RunRecord) -> Iterator[str]:
    before, after = record.row.get("accuracy_before"), record.row.get("accuracy")
    if after is not None:
        yield f"accuracy {after:.3f}" if before is None else f"accuracy {before:.3f} -> {after:.3f}"
    change = record.row.get("control_change")
    if change is not None:
        yield f"control {change:+.3f}"


def _suite_words(record: RunRecord) -> Iterator[str]:
    """Yield a run's mean over all tasks of each kind: which are stable is not settled before a sweep ends."""
    if record.suite is None:
        return
    for kind in KINDS:
        n_expected = len(record.suite.expected.get(kind, []))
        tasks = [task for task in tasks_of(record, kind).values() if not why_not_centred(task)]
        if not tasks and not n_expected:
            continue
        n = f"{len(tasks)}" if len(tasks) == n_expected else f"{len(tasks)} of {n_expected}"
        score = f" {mean_centred(tasks).value:.3f}" if tasks else ""
        yield f"{kind}{score} ({n} {'task' if n_expected == 1 else 'tasks'})"


def cost_line(results: pd.DataFrame) -> str | None:
    """Say where the time of successful runs went; None without one.

    Args:
        results: Rows of results.csv.
    """
    good = results[results["status"] == "ok"]
    if good.empty:
        return None
    seconds = good[list(_STAGES)].sum()
    shares = ", ".join(f"{str(n).removesuffix('_seconds')} {s:.1f} s" for n, s in seconds.items())
    return f"time: {shares}; {seconds.sum() / len(good):.1f} s a run"
