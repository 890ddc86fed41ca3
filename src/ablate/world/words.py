"""Which draw asks which word question: training never sees a combination of the held-out draws."""

import hashlib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import count, islice

import numpy as np

from ablate.config.errors import unknown
from ablate.world.questions import Question
from ablate.world.streams import uniforms
from ablate.world.topics import N_CHANCES, TOPICS, Chances, WordItem

# Upper bound of each draw's share of a topic's combinations, in 256ths.
DRAWS = {"train": 180, "development": 218, "test": 256}
# Different items of a held-out draw; the training draw has no end.
N_ITEMS = 512
_BLOCK = 1024


def draw_of(topic: str, combination: str) -> str:
    """Return the only draw that may ask about a combination."""
    share = hashlib.sha256(f"{topic}/{combination}".encode()).digest()[0]
    return next(draw for draw, bound in DRAWS.items() if share < bound)


def word_items(topic: str, draw: str, indices: Sequence[int]) -> list[Question]:
    """Make questions of a topic.

    Args:
        topic: A key of `TOPICS`.
        draw: A key of `DRAWS`. Every index of the training draw exists; the others have `N_ITEMS`
            items, no two alike.
        indices: Which items of the draw; item n is always the same.

    Returns:
        One question per index; chance is one over its number of options, the same for all of a topic.

    Raises:
        ConfigError: If there is no such topic or draw.
        IndexError: If a held-out draw has no such item.
    """
    if topic not in TOPICS:
        raise unknown("word topic", topic, TOPICS)
    if draw not in DRAWS:
        raise unknown("draw", draw, DRAWS)
    if draw != "train":
        items = _held_out_items(topic, draw)
        return [items[index] for index in indices]
    return [item.question for item in _first_fitting(topic, draw, list(indices))]


def word_conversations(topic: str, indices: Sequence[int]) -> list[tuple[Question, ...]]:
    """Make questions of a topic's training draw, each with all others about the same words.

    Args:
        topic: A key of `TOPICS`.
        indices: Which items of the training draw.

    Returns:
        One conversation per index: what `word_items` asks, then the others, whose text tells nothing
        again.
    """
    items = _first_fitting(topic, "train", list(indices))
    return [(item.question, *item.others) for item in items]


def _first_fitting(topic: str, draw: str, indices: list[int]) -> list[WordItem]:
    """Try again for every index until the combination is one of the draw's."""
    found: dict[int, WordItem] = {}
    for attempt in count():
        missing = [index for index in indices if index not in found]
        if not missing:
            break
        values = uniforms(f"words/{topic}/{draw}/{attempt}", np.array(missing), N_CHANCES)
        for index, row in zip(missing, values.tolist(), strict=True):
            item = TOPICS[topic](Chances(row))
            if draw_of(topic, item.combination) == draw:
                found[index] = item
    return [found[index] for index in indices]


@lru_cache
def _held_out_items(topic: str, draw: str) -> tuple[Question, ...]:
    return tuple(islice(_different(topic, draw), N_ITEMS))


def _different(topic: str, draw: str) -> Iterator[Question]:
    seen: set[str] = set()
    for start in count(step=_BLOCK):
        for item in _first_fitting(topic, draw, list(range(start, start + _BLOCK))):
            if item.question.text not in seen:
                seen.add(item.question.text)
                yield item.question
