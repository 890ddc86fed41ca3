"""A plan's metrics as columns of results.csv, as far as a run fills them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from omegaconf import OmegaConf

from ablate.plans.base import Base, Composed
from ablate.plans.match import match_metric
from ablate.plans.values import Doubt
from ablate.plans.vocabulary import Topic, vocabulary

_AND = re.compile(r"\s+(?:and|&)\s+")
_REASONS = {
    "few-shot": "it is measured on few-shot data, and these are instructions",
    "controls": "it is measured on control data, and there are none",
    "sessions": "it is measured between sessions, and data.sessions is 1",
}


@dataclass(frozen=True)
class Measured:
    """The metrics of an ablation.

    Attributes:
        columns: Columns that a run fills.
        doubts: Metrics that are none, or may be several.
        candidates: Columns that the runs would fill, where none is named.
        suite: The suite of tasks that has to be evaluated for them, where the configuration has none or a smaller one.
    """

    columns: tuple[str, ...]
    doubts: tuple[Doubt, ...]
    suite: str | None
    candidates: tuple[str, ...]


def measured(texts: Sequence[str], topic: Topic, composed: Composed, base: Base) -> Measured:
    """Match metrics with columns that the runs of a configuration fill."""
    columns: list[str] = []
    doubts: list[Doubt] = []
    suites: list[str] = []
    filled = _filled(topic, composed)
    table = vocabulary()
    tasks = base.names("task")
    for text in (piece for whole in texts for piece in _pieces(whole, tasks)):
        match = match_metric(text, tasks)
        if match.doubt is not None:
            doubts.append(Doubt(text, match.doubt, match.fits, is_open=False))
            continue
        needs = table.metrics[match.fits[0]].needs
        if needs in table.suites:
            suites.append(table.suites[needs][base.size])
        elif needs is not None and needs not in filled:
            doubts.append(Doubt(text, _REASONS[needs], (), is_open=False))
            continue
        columns.append(match.fits[0])
    candidates = [
        name
        for name, metric in table.metrics.items()
        if metric.needs in filled or (metric.needs in table.suites and "suite" in filled)
    ]
    suite = _suite(suites, composed, base)
    return Measured(tuple(dict.fromkeys(columns)), tuple(doubts), suite, tuple(candidates))


def _pieces(text: str, tasks: Sequence[str]) -> list[str]:
    """Split "accuracy and forgetting", if either is a column beyond doubt."""
    pieces = _AND.split(text)
    is_list = match_metric(text, tasks).doubt is not None
    if is_list and all(match_metric(piece, tasks).doubt is None for piece in pieces):
        return pieces
    return [text]


def _filled(topic: Topic, composed: Composed) -> set[str]:
    """Return what a run of the configuration has: few-shot data, controls, sessions, a suite of tasks."""
    config = composed.config
    filled = set() if config.tasks is None else {"suite"}
    if OmegaConf.select(config, "data.shots") is not None:
        filled.add("few-shot")
        filled |= {"controls"} if config.controls else set()
        is_continual = topic.key == "data.sessions" or config.data.sessions > 1
        filled |= {"sessions"} if is_continual else set()
    return filled


def _suite(suites: Sequence[str], composed: Composed, base: Base) -> str | None:
    """Return the suite that has to be chosen for all that is asked for; None if what there is will do."""
    chosen = composed.choices.get("tasks")
    sizes = [pair[base.size] for pair in vocabulary().suites.values()]
    if not suites or "tasks" in base.given.groups:
        return None
    wanted = max(suites, key=sizes.index)
    enough = chosen is not None and (
        chosen not in sizes or sizes.index(chosen) >= sizes.index(wanted)
    )
    return None if enough else wanted
