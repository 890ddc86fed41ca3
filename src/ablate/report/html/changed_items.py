"""The items that changed most, and what they were taken for."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ablate.report.html.answers import Items, Pair, pairs_of, shown_answer
from ablate.report.loaded import Loaded
from ablate.report.verdict import AblationReport
from ablate.statistics.crossed import Floats

_MOST_ITEMS = 10
_MOST_ANSWERS = 3
_HEADLINE = "accuracy"


@dataclass(frozen=True)
class ChangedItem:
    """An item, what its baseline made of it, and what the other configurations did.

    Attributes:
        task: Name of the task.
        item_id: Name of the item.
        cluster_id: Name of its image.
        answer: The correct answer.
        config_file: config.yaml of a run that answered it.
        change: Mean change of its score, -1 to 1.
        base_score: Its mean score in the runs that are compared with.
        score: Its mean score in the others.
        n_runs: Runs that answered it, those that are compared with not counted.
        base_answers: The most frequent answers of the former, each with its share.
        answers: The same of the others.
    """

    task: str
    item_id: str
    cluster_id: str
    answer: str
    config_file: Path
    change: float
    base_score: float
    score: float
    n_runs: int
    base_answers: tuple[tuple[str, float], ...] = ()
    answers: tuple[tuple[str, float], ...] = ()


@dataclass
class Sums:
    """Sums over the runs that answered one set of items.

    Attributes:
        items: The items.
        rows: Those that are looked at: accuracy on the target, else every task that is no control.
        change: Sum of the changes of each item's score.
        base: Sum of its scores in what is compared with.
        score: Sum of its scores.
        n: Runs that answered it, beside one that is compared with.
    """

    items: Items
    rows: NDArray[np.int64]
    change: Floats
    base: Floats
    score: Floats
    n: Floats


def _main_rows(items: Items) -> NDArray[np.int64]:
    """Return the rows that are looked at: accuracy on the target, else every task that is no control."""
    kind, metric = items.rows["kind"], items.rows["metric"]
    for chosen in (
        (kind == "target") & (metric == _HEADLINE),
        kind.isin(["vision", "text"]),
        kind.notna(),
    ):
        if chosen.any():
            return np.flatnonzero(chosen)
    return np.arange(0)


def no_sums(items: Items) -> Sums:
    """Return sums over no run."""
    rows = _main_rows(items)
    change, base, score, n = np.zeros((4, len(rows)))
    return Sums(items, rows, change, base, score, n)


def add(sums: Sums, pair: Pair) -> None:
    """Add the runs of one configuration, and those that they are compared with."""
    scores, base = pair.scores[:, sums.rows], pair.base_scores[:, sums.rows]
    both = np.isfinite(scores) & np.isfinite(base)
    sums.change += np.where(both, scores - base, 0.0).sum(axis=0)
    sums.score += np.where(both, scores, 0.0).sum(axis=0)
    sums.base += np.where(both, base, 0.0).sum(axis=0)
    sums.n += both.sum(axis=0)


def most_changed(
    sums: Sequence[Sums], ablation: AblationReport, loaded: Loaded
) -> list[ChangedItem]:
    """Return the items whose score changed most in the mean over runs; what they were taken for is read again."""
    ranked = []
    for part in sums:
        with np.errstate(invalid="ignore", divide="ignore"):
            change = part.change / part.n
        for place in np.argsort(-np.abs(np.nan_to_num(change)), kind="stable")[:_MOST_ITEMS]:
            if part.n[place] and change[place]:
                ranked.append((abs(float(change[place])), float(part.n[place]), part, int(place)))
    ranked.sort(key=lambda one: one[:2], reverse=True)
    chosen = [(part, place) for _, _, part, place in ranked[:_MOST_ITEMS]]
    answers = _answers_to(chosen, ablation, loaded)
    found = []
    for (part, place), (own, base) in zip(chosen, answers, strict=True):
        about, n = part.items.rows.iloc[part.rows[place]], part.n[place]
        found.append(
            ChangedItem(
                str(about["task"]),
                str(about["item_id"]),
                str(about["cluster_id"]),
                str(about["answer"]),
                part.items.config_file,
                float(part.change[place] / n),
                float(part.base[place] / n),
                float(part.score[place] / n),
                int(n),
                _most_common(base),
                _most_common(own),
            )
        )
    return found


def _answers_to(
    chosen: Sequence[tuple[Sums, int]], ablation: AblationReport, loaded: Loaded
) -> list[tuple[Counter[str], Counter[str]]]:
    """Count what was answered to a few items, by the configurations and by what they are compared with."""
    answers: list[tuple[Counter[str], Counter[str]]] = [(Counter(), Counter()) for _ in chosen]
    items: Items | None = None
    is_theirs: list[bool] = []
    for pair in pairs_of(ablation, loaded) if chosen else ():
        if pair.items is not items:
            items = pair.items
            is_theirs = [items.are(part.items) for part, _ in chosen]
        for (part, place), (own, base), is_same in zip(chosen, answers, is_theirs, strict=True):
            if is_same:
                row = part.rows[place]
                own.update(map(shown_answer, pair.predictions[:, row]))
                base.update(map(shown_answer, pair.base_predictions[:, row]))
    return answers


def _most_common(counts: Counter[str]) -> tuple[tuple[str, float], ...]:
    total = counts.total()
    return tuple((text, n / total) for text, n in counts.most_common(_MOST_ANSWERS))
