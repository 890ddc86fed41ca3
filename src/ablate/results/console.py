"""What a person reads on the terminal: a line for each run, a table at the end."""

import math
from collections.abc import Iterator

import pandas as pd

from ablate.results.run_folder import RunFolder

_STAGES = ("load_seconds", "importance_seconds", "train_seconds", "eval_seconds")
_SETTINGS = (
    "model",
    "method",
    "loss",
    "data",
    "shots",
    "sessions",
    "rank",
    "top_k_heads",
    "sparsity",
)
_SHOWN = ("accuracy_before", "accuracy", "target_improvement", "control_change")


def outcome_line(folder: RunFolder) -> str:
    """Say how one run ended."""
    record = folder.read()
    if record is None:
        return f"{folder.run_id}: no result"
    row = record.row
    if record.status != "ok":
        return f"{folder.run_id}: {record.status} {row.get('error') or ''}".rstrip()
    seconds = sum(row.get(stage) or 0.0 for stage in _STAGES)
    change = row.get("control_change")
    control = "" if change is None else f", control {change:+.3f}"
    return (
        f"{folder.run_id}: accuracy {row['accuracy_before']:.3f} -> {row['accuracy']:.3f}"
        f"{control} ({seconds:.1f} s)"
    )


def summary_lines(results: pd.DataFrame) -> Iterator[str]:
    """Yield a table of means over seeds for each ablation, and where the time went."""
    good = results[results["status"] == "ok"]
    for ablation, rows in good.groupby("ablation", dropna=False, sort=False):
        axis = str(rows["axis"].iloc[0]).rsplit(".", 1)[-1]
        varied = [name for name in _varied(rows) if name != axis]
        by = ["value", *varied] if isinstance(ablation, str) else (varied or ["method"])
        title = f"{ablation}: {rows['axis'].iloc[0]}" if isinstance(ablation, str) else "runs"
        yield ""
        yield f"{title} (mean over seeds, ± standard deviation)"
        yield _table(rows, by)
    if len(good):
        seconds = good[list(_STAGES)].sum()
        shares = ", ".join(
            f"{str(name).removesuffix('_seconds')} {s:.1f} s" for name, s in seconds.items()
        )
        yield ""
        yield f"time: {shares}; {seconds.sum() / len(good):.1f} s a run"


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
