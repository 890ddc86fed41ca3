"""The items that changed most, and what they were taken for."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ablate.report.html.answers import Items, Pair, pairs_of, shown_answer
from ablate.report.loaded import Loaded
from ablate.report.verdict import AblationReport
from ablate.statistics.crossed import Floats

_MOST_ITEMS = 10
_MOST_ANSWERS = 3
_HEADLINE = "accuracy"
Key = tuple[str, str, str]


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
        is_new: Whether no run was added yet.
    """

    items: Items
    rows: NDArray[np.int64]
    change: Floats
    base: Floats
    score: Floats
    n: Floats
    is_new: bool = True


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
    wanted = {_key(part.items.rows.iloc[part.rows[place]]) for part, place in chosen}
    answers, base_answers = _answers_to(wanted, ablation, loaded)
    found = []
    for part, place in chosen:
        about, n = part.items.rows.iloc[part.rows[place]], part.n[place]
        key = _key(about)
        found.append(
            ChangedItem(
                key[0],
                key[2],
                str(about["cluster_id"]),
                str(about["answer"]),
                part.items.config_file,
                float(part.change[place] / n),
                float(part.base[place] / n),
                float(part.score[place] / n),
                int(n),
                _most_common(base_answers[key]),
                _most_common(answers[key]),
            )
        )
    return found


def _key(row: pd.Series) -> Key:
    return str(row["task"]), str(row["metric"]), str(row["item_id"])


def _answers_to(
    wanted: set[Key], ablation: AblationReport, loaded: Loaded
) -> tuple[dict[Key, Counter[str]], dict[Key, Counter[str]]]:
    """Count what was answered to a few items, by the configurations and by what they are compared with."""
    answers: dict[Key, Counter[str]] = defaultdict(Counter)
    base_answers: dict[Key, Counter[str]] = defaultdict(Counter)
    places: dict[Key, int] = {}
    items: Items | None = None
    for pair in pairs_of(ablation, loaded) if wanted else ():
        if pair.items is not items:
            items = pair.items
            keys = zip(items.rows["task"], items.rows["metric"], items.rows["item_id"], strict=True)
            places = {key: place for place, key in enumerate(keys) if key in wanted}
        for key, place in places.items():
            answers[key].update(map(shown_answer, pair.predictions[:, place]))
            base_answers[key].update(map(shown_answer, pair.base_predictions[:, place]))
    return answers, base_answers


def _most_common(counts: Counter[str]) -> tuple[tuple[str, float], ...]:
    total = counts.total()
    return tuple((text, n / total) for text, n in counts.most_common(_MOST_ANSWERS))
