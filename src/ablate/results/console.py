"""What a person reads on the terminal: a line for each run, a table at the end."""

from collections.abc import Iterator, Sequence

import pandas as pd

from ablate.config.text import printable
from ablate.results.record import AblationRecord, Cell, DamagedRecordError, RunRecord
from ablate.results.run_folder import RunFolder
from ablate.results.stability import mean_centred, why_not_centred
from ablate.results.stable_scores import KINDS, tasks_of
from ablate.results.summary import Estimate, Summary, summarise

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


def summary_lines(
    results: pd.DataFrame,
    ablations: Sequence[AblationRecord] = (),
    stable_tasks: pd.DataFrame | None = None,
) -> Iterator[str]:
    """Yield a table for each ablation, one line per configuration, and where the time went.

    Args:
        results: Rows of results.csv.
        ablations: The ablations that the rows belong to.
        stable_tasks: Rows of stable_tasks.csv; those of the ablations in `results` are shown.
    """
    good = results[results["status"] == "ok"]
    by_name = {ablation.name: ablation for ablation in ablations}
    for name, rows in good.groupby("ablation", dropna=False, sort=False):
        ablation = by_name.get(str(name))
        yield ""
        if ablation is not None:
            yield f"{ablation.name}: {ablation.question}"
        yield from _table(summarise(rows, ablation), ablation)
        if stable_tasks is not None:
            same = stable_tasks["ablation"].isin([name])
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


def _table(summaries: Sequence[Summary], ablation: AblationRecord | None) -> Iterator[str]:
    """Yield the lines of a table, right-aligned under their headers, and what its numbers are."""
    metrics = list(dict.fromkeys(name for summary in summaries for name in summary.metrics))
    has_differences = any(summary.differences for summary in summaries)
    settings = list(summaries[0].settings)
    header = [] if ablation is None else [ablation.key]
    header += [*settings, "runs"]
    for metric in metrics:
        header += [metric, "- baseline"] if has_differences else [metric]
    lines = [header]
    for summary in summaries:
        cells = [] if ablation is None else [_shown(summary.value)]
        cells += [*(_shown(summary.settings[name]) for name in settings), str(summary.n_runs)]
        for metric in metrics:
            cells.append(_with_spread(summary.metrics.get(metric)))
            if has_differences:
                difference = summary.differences.get(metric)
                cells.append("baseline" if summary.is_baseline else _with_spread(difference, "+"))
        lines.append(cells)
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    for line in lines:
        padded = [cell.rjust(width) for cell, width in zip(line, widths, strict=True)]
        yield "  ".join(padded).rstrip()
    pairing = "; differences are paired by seed" if has_differences else ""
    yield f"mean over seeds ± standard deviation{pairing}"


def _shown(value: Cell) -> str:
    return "" if value is None else printable(str(value))


def _with_spread(estimate: Estimate | None, sign: str = "") -> str:
    if estimate is None:
        return ""
    spread = "" if estimate.sd is None else f" ± {estimate.sd:.3f}"
    return f"{estimate.mean:{sign}.3f}{spread}"
