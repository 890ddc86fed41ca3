"""Which items changed: how many became right or wrong, which changed most, and what is taken for what."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ablate.report.figures.series import by_settings, names_of
from ablate.report.html.answers import Items, Pair, pairs_of
from ablate.report.loaded import Loaded
from ablate.report.verdict import AblationReport
from ablate.statistics.crossed import Floats

_MOST_ITEMS = 10
_MOST_ANSWERS = 3
# A confusion view of more classes is not read; tasks of more answers are not closed questions.
_MOST_CLASSES = 20
_MOST_CLOSED = 200
_MOST_CONFIGURATIONS = 12
_HEADLINE = "accuracy"
_UNREAD = "(none)"


@dataclass(frozen=True)
class Turnover:
    """Answers of one configuration that are right where its baseline's are wrong, and the reverse.

    Attributes:
        name: The configuration in words.
        became_right: Answers, one for each item and seed, that score higher.
        became_wrong: Answers that score lower.
        n: Answers that both have.
    """

    name: str
    became_right: int
    became_wrong: int
    n: int


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


@dataclass(frozen=True)
class Confusion:
    """What one configuration, or what it is compared with, answered where one answer was correct.

    Attributes:
        task: Name of the task.
        name: The configuration in words.
        counts: Answers given, by correct answer and prediction.
    """

    task: str
    name: str
    counts: Counter[tuple[str, str]]


@dataclass
class Changes:
    """What changed between the configurations of an ablation and what they are compared with.

    Attributes:
        tasks: The tasks that were looked at.
        turnover: One for each configuration.
        items: The items that changed most, the largest change first.
        confusions: For each task with closed answers: what is compared with, then the configurations.
        n_left_out: Configurations that have no confusion view.
    """

    tasks: tuple[str, ...] = ()
    turnover: list[Turnover] = field(default_factory=list)
    items: list[ChangedItem] = field(default_factory=list)
    confusions: list[Confusion] = field(default_factory=list)
    n_left_out: int = 0


@dataclass
class _Sums:
    """Sums over the runs that answered the items of one set of items."""

    items: Items
    rows: NDArray[np.int64]
    change: Floats
    base: Floats
    score: Floats
    n: Floats
    is_new: bool = True


def changes_of(ablation: AblationReport, loaded: Loaded, against: str) -> Changes:
    """Compare answers item by item: those to the target's questions, else to all tasks of the suite.

    Args:
        ablation: Whose configurations.
        loaded: Where the runs are.
        against: What the configurations are compared with, in words.
    """
    names = names_of(ablation)
    n_settings = len(by_settings(ablation))
    changes = Changes()
    sums: list[_Sums] = []
    confusions: dict[tuple[str, str], Counter[tuple[str, str]]] = defaultdict(Counter)
    for pair in pairs_of(ablation, loaded):
        name = names[pair.configuration.run_ids]
        if not sums or sums[-1].items is not pair.items:
            sums.append(_nothing(pair.items))
        current = sums[-1]
        changes.turnover.append(_turnover(name, pair, current.rows))
        _add(current, pair)
        if len(changes.turnover) <= _MOST_CONFIGURATIONS:
            for task, rows in _closed(pair.items, current.rows):
                # Each setting has a baseline of its own; which one it is must be said.
                compared = against if n_settings == 1 else f"{against} of {name}"
                if current.is_new:
                    confusions[task, compared] += _confusion(pair, pair.base_predictions, rows)
                confusions[task, name] += _confusion(pair, pair.predictions, rows)
        else:
            changes.n_left_out += 1
        current.is_new = False
    changes.confusions = [Confusion(*key, counts) for key, counts in confusions.items()]
    if sums:
        about = sums[0].items.rows["task"].to_numpy()[sums[0].rows]
        changes.tasks = tuple(dict.fromkeys(str(task) for task in about))
    changes.items = _most_changed(sums, ablation, loaded)
    return changes


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


def _nothing(items: Items) -> _Sums:
    rows = _main_rows(items)
    change, base, score, n = np.zeros((4, len(rows)))
    return _Sums(items, rows, change, base, score, n)


def _turnover(name: str, pair: Pair, rows: NDArray[np.int64]) -> Turnover:
    change = pair.scores[:, rows] - pair.base_scores[:, rows]
    return Turnover(
        name, int((change > 0).sum()), int((change < 0).sum()), int(np.isfinite(change).sum())
    )


def _add(sums: _Sums, pair: Pair) -> None:
    scores, base = pair.scores[:, sums.rows], pair.base_scores[:, sums.rows]
    both = np.isfinite(scores) & np.isfinite(base)
    sums.change += np.where(both, scores - base, 0.0).sum(axis=0)
    sums.score += np.where(both, scores, 0.0).sum(axis=0)
    sums.base += np.where(both, base, 0.0).sum(axis=0)
    sums.n += both.sum(axis=0)


def _closed(items: Items, rows: NDArray[np.int64]) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Yield the tasks whose correct answers are few enough to be told apart."""
    about = items.rows.iloc[rows]
    for task, places in about.groupby("task", sort=False).indices.items():
        answers = about["answer"].iloc[places]
        if 2 <= answers.nunique() <= min(_MOST_CLOSED, len(answers) // 2):
            yield str(task), rows[places]


def _confusion(
    pair: Pair, predictions: NDArray[np.object_], rows: NDArray[np.int64]
) -> Counter[tuple[str, str]]:
    answers = [str(answer) for answer in pair.items.rows["answer"].to_numpy()[rows]]
    return Counter(
        (answer, _text(prediction))
        for seed in predictions[:, rows]
        for answer, prediction in zip(answers, seed, strict=True)
    )


def _text(prediction: object) -> str:
    return prediction if isinstance(prediction, str) else _UNREAD


def _most_changed(
    sums: Sequence[_Sums], ablation: AblationReport, loaded: Loaded
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


Key = tuple[str, str, str]


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
            answers[key].update(map(_text, pair.predictions[:, place]))
            base_answers[key].update(map(_text, pair.base_predictions[:, place]))
    return answers, base_answers


def _most_common(counts: Counter[str]) -> tuple[tuple[str, float], ...]:
    total = counts.total()
    return tuple((text, n / total) for text, n in counts.most_common(_MOST_ANSWERS))
