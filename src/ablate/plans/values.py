"""A plan's replacements as values of a key."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from omegaconf import OmegaConf

from ablate.config.errors import ConfigError
from ablate.config.reading import read_run_config
from ablate.config.schema import AxisValue
from ablate.plans.base import Base, Composed
from ablate.plans.match import match_value
from ablate.plans.numbers import NotNumbersError, read_numbers
from ablate.plans.vocabulary import Topic, vocabulary

# Not inside brackets.
_COMMAS = re.compile(r"\s*[,;|](?![^(]*\))\s*(?:and\s|or\s)?\s*")


class NoValueError(ValueError):
    """What a plan asks for has no key or no value here; it says why."""


@dataclass(frozen=True)
class Doubt:
    """A text of the plan that is not taken.

    Attributes:
        text: The text.
        reason: Why.
        candidates: What it may mean.
        is_open: Whether it has to be decided before the plan is carried out as it was meant.
    """

    text: str
    reason: str
    candidates: tuple[AxisValue, ...]
    is_open: bool


@dataclass(frozen=True)
class Items:
    """What the replacements are.

    Attributes:
        values: The values, in the plan's order.
        baseline: The one that the plan calls the default, if it does.
        doubts: What is none.
    """

    values: tuple[AxisValue, ...]
    baseline: AxisValue | None
    doubts: tuple[Doubt, ...]


def read_items(texts: Sequence[str], topic: Topic, base: Base) -> Items:
    """Read the replacements as values of a topic; what is not beyond doubt stays a doubt."""
    values: list[AxisValue] = []
    doubts: list[Doubt] = []
    marked: list[AxisValue] = []
    for text in texts:
        # "attention and MLP" is one value, and a range has commas.
        pieces = _COMMAS.split(text) if topic.kind == "choice" else [text]
        for piece in filter(str.strip, pieces):
            found = _names(piece, topic, base) if topic.kind == "choice" else _numbers(piece, topic)
            if isinstance(found, Doubt):
                doubts.append(found)
            else:
                values.extend(found[0])
                marked.extend(found[0] if found[1] else ())
    unique = tuple(dict.fromkeys(values))
    baseline = marked[0] if len(set(marked)) == 1 else None
    return Items(unique, baseline, tuple(doubts))


def usable(items: Items, topic: Topic, composed: Composed) -> Items:
    """Leave out the values that the key does not take."""
    if topic.key in composed.choices or OmegaConf.missing_keys(composed.config):
        return items
    kept: list[AxisValue] = []
    doubts = list(items.doubts)
    for value in items.values:
        config = composed.config.copy()
        OmegaConf.update(config, topic.key, value)
        try:
            read_run_config(config)
        except ConfigError as error:
            doubts.append(Doubt(str(value), str(error), (), is_open=False))
        else:
            kept.append(value)
    baseline = items.baseline if items.baseline in kept else None
    return Items(tuple(kept), baseline, tuple(doubts))


def _numbers(text: str, topic: Topic) -> tuple[tuple[AxisValue, ...], bool] | Doubt:
    try:
        found = read_numbers(text, topic.kind, vocabulary().allowed_beside(topic))
    except NotNumbersError as error:
        return Doubt(text, str(error), (), is_open=True)
    return found.values, found.is_baseline


def _names(text: str, topic: Topic, base: Base) -> tuple[tuple[AxisValue, ...], bool] | Doubt:
    own = base.names(topic.key) if topic.proper else []
    match, is_baseline = match_value(text, topic, own)
    if match.doubt is None:
        return (topic.member(match.fits[0], base.size),), is_baseline
    candidates = tuple(topic.member(fit, base.size) for fit in match.fits)
    return Doubt(text, match.doubt, candidates, is_open=bool(candidates))
