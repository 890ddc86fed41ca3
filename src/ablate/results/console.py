"""What a person reads on the terminal: a line for each run, a table at the end."""

import math
from collections.abc import Iterator

import pandas as pd

from ablate.results.record import RunRecord
from ablate.results.run_folder import RunFolder
from ablate.results.stability import mean_centred, why_not_centred
from ablate.results.stable_scores import KINDS, tasks_of

_STAGES = ("load_seconds", "importance_seconds", "train_seconds", "eval_seconds")
_SETTINGS = (
    "model",
    "encoder",
    "encoder_frozen",
    "method",
    "loss",
    "data",
    "shots",
    "sessions",
    "rank",
    "top_k_heads",
    "sparsity",
)
_SHOWN = (
    "accuracy_before",
    "accuracy",
    "target_improvement",
    "control_change",
    "vision_stable_score",
    "text_stable_score",
)


def outcome_line(folder: RunFolder) -> str:
    """Say how one run ended."""
    record = folder.read()
    if record is None:
        return f"{folder.run_id}: no result"
    row = record.row
    if record.status != "ok":
        return f"{folder.run_id}: {record.status} {row.get('error') or ''}".rstrip()
    seconds = sum(row.get(stage) or 0.0 for stage in _STAGES)
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


def summary_lines(results: pd.DataFrame, stable_tasks: pd.DataFrame | None = None) -> Iterator[str]:
    """Yield a table of means over seeds for each ablation, and where the time went.

    Args:
        results: Rows of results.csv.
        stable_tasks: Rows of stable_tasks.csv; those of the ablations in `results` are told.
    """
    good = results[results["status"] == "ok"]
    for ablation, rows in good.groupby("ablation", dropna=False, sort=False):
        axis = str(rows["axis"].iloc[0]).rsplit(".", 1)[-1]
        varied = [name for name in _varied(rows) if name != axis]
        by = ["value", *varied] if isinstance(ablation, str) else (varied or ["method"])
        title = f"{ablation}: {rows['axis'].iloc[0]}" if isinstance(ablation, str) else "runs"
        yield ""
        yield f"{title} (mean over seeds, ± standard deviation)"
        yield _table(rows, by)
        if stable_tasks is not None:
            same = stable_tasks["ablation"].isin([ablation])
            yield from _decision_lines(stable_tasks[same])
        yield from _note_lines(rows)
    if len(good):
        seconds = good[list(_STAGES)].sum()
        shares = ", ".join(
            f"{str(name).removesuffix('_seconds')} {s:.1f} s" for name, s in seconds.items()
        )
        yield ""
        yield f"time: {shares}; {seconds.sum() / len(good):.1f} s a run"


def _decision_lines(stable_tasks: pd.DataFrame) -> Iterator[str]:
    """Yield which tasks the stable scores are of, and why the others are not in them."""
    by = ["suite", "kind", "choice"]
    for (suite, kind, choice), rows in stable_tasks.groupby(by, sort=False):
        named = f" of suite {suite}" if stable_tasks["suite"].nunique() > 1 else ""
        how = "decided from the runs" if choice == "auto" else "listed in the configuration"
        is_stable = rows["stable"].astype(bool)
        names = ", ".join(rows.loc[is_stable, "task"]) or "none"
        yield f"stable {kind} tasks{named}, {how}: {names}"
        if choice == "auto":
            for task, reason in rows.loc[~is_stable, ["task", "reason"]].itertuples(index=False):
                yield f"  left out: {task} ({reason})"


def _note_lines(rows: pd.DataFrame) -> Iterator[str]:
    """Yield why runs have no stable score."""
    for kind in KINDS:
        for note, n in rows[f"{kind}_stable_note"].value_counts().items():
            yield f"no {kind} stable score in {n} of {len(rows)} runs: {note}"


def _varied(rows: pd.DataFrame) -> list[str]:
    """Return the settings in which runs differ and that do not simply follow the ablation's value."""
    differ = [name for name in _SETTINGS if rows[name].nunique(dropna=False) > 1]
    if rows["value"].isna().all():
        return differ
    by_value = rows.groupby("value", dropna=False)
    return [name for name in differ if by_value[name].nunique(dropna=False).max() > 1]


def _table(rows: pd.DataFrame, by: list[str]) -> str:
    groups = rows.groupby(by, dropna=False, sort=False)
    columns: dict[str, pd.Series] = {"runs": groups.size()}
    for column in _SHOWN:
        if rows[column].notna().any():
            spread = groups[column].std()
            mean = groups[column].mean()
            columns[column] = pd.Series(
                [_with_spread(m, s) for m, s in zip(mean, spread, strict=True)], index=mean.index
            )
    return pd.DataFrame(columns).reset_index().to_string(index=False, na_rep="")


def _with_spread(mean: float, spread: float) -> str:
    if math.isnan(mean):
        return ""
    return f"{mean:.3f}" if math.isnan(spread) else f"{mean:.3f} ± {spread:.3f}"
