"""The items that changed most, and what they were taken for."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ablate.report.html.answers import Items, Pair, Texts, shown_answer
from ablate.statistics.crossed import Floats

_MOST_ITEMS = 10
_MOST_ANSWERS = 3
_HEADLINE = "accuracy"
Numbers = NDArray[np.int32]


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
        answers: What each configuration answered, and what it is compared with: numbers of `words`, `[seeds, rows]`.
            A number takes a tenth of the memory of its text.
        words: Every answer that was given, with its number.
    """

    items: Items
    rows: NDArray[np.int64]
    change: Floats
    base: Floats
    score: Floats
    n: Floats
    answers: list[tuple[Numbers, Numbers]] = field(default_factory=list)
    words: dict[str, int] = field(default_factory=dict)


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
    own, compared = (
        _numbered(texts[:, sums.rows], sums.words)
        for texts in (pair.predictions, pair.base_predictions)
    )
    sums.answers.append((own, compared))


def _numbered(texts: Texts, words: dict[str, int]) -> Numbers:
    """Write answers as their numbers; new ones are added to the words."""
    places, distinct = pd.factorize(texts.ravel(), use_na_sentinel=False)
    numbers = [words.setdefault(shown_answer(text), len(words)) for text in distinct]
    return np.array(numbers, dtype=np.int32)[places].reshape(texts.shape)


def most_changed(sums: Sequence[Sums]) -> list[ChangedItem]:
    """Return the items whose score changed most in the mean over runs."""
    ranked = []
    for part in sums:
        with np.errstate(invalid="ignore", divide="ignore"):
            change = part.change / part.n
        for place in np.argsort(-np.abs(np.nan_to_num(change)), kind="stable")[:_MOST_ITEMS]:
            if part.n[place] and change[place]:
                ranked.append((abs(float(change[place])), float(part.n[place]), part, int(place)))
    ranked.sort(key=lambda one: one[:2], reverse=True)
    found = []
    for _, _, part, place in ranked[:_MOST_ITEMS]:
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
                _most_common([base[:, place] for _, base in part.answers], part.words),
                _most_common([own[:, place] for own, _ in part.answers], part.words),
            )
        )
    return found


def _most_common(
    numbers: Sequence[Numbers], words: Mapping[str, int]
) -> tuple[tuple[str, float], ...]:
    """Return the most frequent answers to one item over all seeds, each with its share."""
    texts = list(words)
    counts = Counter(np.concatenate(numbers).tolist())
    return tuple((texts[one], n / counts.total()) for one, n in counts.most_common(_MOST_ANSWERS))
