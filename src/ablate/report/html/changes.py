"""Which items changed: how many became right or wrong, which changed most, and what is taken for what."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ablate.report.figures.series import by_settings, names_of
from ablate.report.html.answers import Items, Pair, pairs_of, shown_answer
from ablate.report.html.changed_items import ChangedItem, Sums, add, most_changed, no_sums
from ablate.report.loaded import Loaded
from ablate.report.verdict import AblationReport

# Tasks of more answers are not closed questions, and a list of more configurations is not read.
_MOST_CLOSED = 200
_MOST_CONFIGURATIONS = 12


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
    sums: list[Sums] = []
    last: Items | None = None
    confusions: dict[tuple[str, str], Counter[tuple[str, str]]] = defaultdict(Counter)
    for pair in pairs_of(ablation, loaded):
        name = names[pair.configuration.run_ids]
        current = next((one for one in sums if one.items.are(pair.items)), None)
        if current is None:
            current = no_sums(pair.items)
            sums.append(current)
        changes.turnover.append(_turnover(name, pair, current.rows))
        add(current, pair)
        if len(changes.turnover) <= _MOST_CONFIGURATIONS:
            for task, rows in _closed(pair.items, current.rows):
                # Each setting has a baseline of its own; which one it is must be said.
                compared = against if n_settings == 1 else f"{against} of {name}"
                if pair.items is not last:
                    confusions[task, compared] += _confusion(pair, pair.base_predictions, rows)
                confusions[task, name] += _confusion(pair, pair.predictions, rows)
        else:
            changes.n_left_out += 1
        last = pair.items
    changes.confusions = [Confusion(*key, counts) for key, counts in confusions.items()]
    if sums:
        about = sums[0].items.rows["task"].to_numpy()[sums[0].rows]
        changes.tasks = tuple(dict.fromkeys(str(task) for task in about))
    changes.items = most_changed(sums)
    return changes


def _turnover(name: str, pair: Pair, rows: NDArray[np.int64]) -> Turnover:
    change = pair.scores[:, rows] - pair.base_scores[:, rows]
    return Turnover(
        name, int((change > 0).sum()), int((change < 0).sum()), int(np.isfinite(change).sum())
    )


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
        (answer, shown_answer(prediction))
        for seed in predictions[:, rows]
        for answer, prediction in zip(answers, seed, strict=True)
    )
