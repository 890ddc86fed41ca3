"""What a reader has to know of the stable scores: which tasks are in them, and why a score is empty."""

from collections.abc import Iterator

import pandas as pd

from ablate.results.stable_scores import KINDS


def stability_notes(stable_tasks: pd.DataFrame, rows: pd.DataFrame) -> Iterator[str]:
    """Yield one line for each decision, and for each reason why runs have no score.

    Args:
        stable_tasks: Rows of stable_tasks.csv of one ablation.
        rows: Its successful runs, rows of results.csv.
    """
    by = ["suite", "kind", "choice"]
    for (suite, kind, choice), tasks in stable_tasks.groupby(by, sort=False):
        named = f" of suite {suite}" if stable_tasks["suite"].nunique() > 1 else ""
        how = "decided from the runs" if choice == "auto" else "listed in the configuration"
        is_stable = tasks["stable"].astype(bool)
        names = ", ".join(tasks.loc[is_stable, "task"]) or "none"
        yield f"stable {kind} tasks{named}, {how}: {names}"
        if choice == "auto":
            for task, reason in tasks.loc[~is_stable, ["task", "reason"]].itertuples(index=False):
                yield f"  left out: {task} ({reason})"
    for kind in KINDS:
        for note, n in rows[f"{kind}_stable_note"].value_counts().items():
            yield f"no {kind} stable score in {n} of {len(rows)} runs: {note}"
