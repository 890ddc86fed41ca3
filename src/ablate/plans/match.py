"""A plan's words against the table: which topic a part is, which value a replacement, which column a metric.

Nothing is guessed: a text means something only if every word of it is understood, and only one thing fits it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from ablate.plans.vocabulary import Topic, vocabulary
from ablate.plans.words import Tokens, tokens_of, undominated, widest

Cover = frozenset[int]
_MOST_CANDIDATES = 4


@dataclass(frozen=True)
class Match:
    """What a text may mean.

    Attributes:
        fits: The names that it may mean, at most a few.
        doubt: Why it is not sure; None if it means the first of `fits` beyond doubt.
    """

    fits: tuple[str, ...]
    doubt: str | None


@dataclass(frozen=True)
class Part(Match):
    """What an ablated part may mean.

    Attributes:
        named: The names in it, by topic; such as the method whose rank it is.
    """

    named: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def match_part(text: str) -> Part:
    """Find the topics that an ablated part names.

    Args:
        text: The part, in the plan's words.

    Returns:
        The topics, the doubt about them, and the names in the text; no topic where no key varies it.
    """
    table = vocabulary()
    tokens = tokens_of(text)
    names = _names_in(tokens)
    named: dict[str, tuple[str, ...]] = {}
    for topic, value in names:
        named[topic] = (*named.get(topic, ()), value)
    taken = frozenset[int]().union(*names.values())
    covers = _covers({name: topic.words for name, topic in table.topics.items()}, tokens, taken)
    covers = {
        name: cover
        for name, cover in covers.items()
        if not any(cover < other for other in names.values())
    }
    for name in named:
        covers.setdefault(name, frozenset())
    left = {}
    for name, cover in covers.items():
        value = _value_in(table.topics[name], tokens)
        if value is not None:
            named.setdefault(name, (value[0],))
        known = cover | taken | (value[1] if value else frozenset())
        left[name] = _left(tokens, known, table.filler_words | _beside(name))
    complete = undominated({name: covers[name] for name in covers if not left[name]})
    if len(complete) == 1:
        return Part(tuple(complete), None, named)
    if complete:
        return Part(_few(complete), "more than one key fits it", named)
    worded = undominated({name: cover for name, cover in covers.items() if cover})
    without_key = _covers({one.reason: one.words for one in table.keyless}, tokens, frozenset())
    if without_key and all(
        any(cover < other for other in without_key.values()) for cover in worded.values()
    ):
        reason = max(without_key, key=lambda reason: len(without_key[reason]))
        return Part((), reason, named)
    if worded:
        words = ", ".join(dict.fromkeys(w for name in worded for w in left[name]))
        return Part(_few(worded), f"not understood in it: {words}", named)
    maybe = _covers({name: topic.maybe for name, topic in table.topics.items()}, tokens, taken)
    if maybe:
        return Part(_few(undominated(maybe)), "it may mean this, or something else", named)
    if named:
        words = ", ".join(dict.fromkeys(w for name in named for w in left[name]))
        return Part(tuple(named)[:_MOST_CANDIDATES], f"not understood in it: {words}", named)
    return Part((), "no key varies it, as far as its words are known", named)


def match_value(text: str, topic: Topic, names: Sequence[str]) -> tuple[Match, bool]:
    """Find the value that a replacement names.

    Args:
        text: The replacement.
        topic: What is varied; its values are names.
        names: Choices of its group that the table does not know: a user's own.

    Returns:
        The values that fit, and whether the text calls it the baseline.
    """
    table = vocabulary()
    tokens = tokens_of(text)
    known = {value for pair in topic.members.values() for value in pair} | topic.values.keys()
    phrases = {**topic.values, **{name: (name,) for name in names if name not in known}}
    covers = undominated(_covers(phrases, tokens, frozenset()))
    marks = table.words_of(table.baseline)
    is_baseline = bool(marks & {*tokens})
    allowed = table.allowed_beside(topic) | marks
    return _one_of(covers, tokens, allowed), is_baseline


def match_metric(text: str) -> Match:
    """Find the column of results.csv that a metric names."""
    table = vocabulary()
    phrases = {name: (*metric.words, name) for name, metric in table.metrics.items()}
    tokens = tokens_of(text)
    covers = undominated(_covers(phrases, tokens, frozenset()))
    return _one_of(covers, tokens, table.filler_words | table.words_of(table.metric_filler))


def match_action(text: str) -> Match:
    """Find the action that a plan names."""
    covers = _covers(vocabulary().actions, tokens_of(text), frozenset())
    return _one_of(covers, tokens_of(text), frozenset())


def _one_of(covers: Mapping[str, Cover], tokens: Tokens, allowed: Collection[str]) -> Match:
    """Decide among what was found in a text."""
    if not covers:
        return Match((), "no such name is known here")
    if len(covers) > 1:
        return Match(_few(covers), "more than one fits it")
    (name, cover), *_ = covers.items()
    left = _left(tokens, cover, allowed)
    return Match((name,), f"not understood in it: {', '.join(left)}" if left else None)


def _names_in(tokens: Tokens) -> dict[tuple[str, str], Cover]:
    """Find the proper names in a text: a topic and its value each."""
    phrases = {
        (name, value): words
        for name, topic in vocabulary().topics.items()
        if topic.proper
        for value, words in topic.values.items()
    }
    found = {key: _cover(words, tokens, frozenset()) for key, words in phrases.items()}
    covers = {key: cover for key, cover in found.items() if cover}
    return {
        key: cover
        for key, cover in covers.items()
        if not any(cover < other for other in covers.values())
    }


def _value_in(topic: Topic, tokens: Tokens) -> tuple[str, Cover] | None:
    """Find the value that a part names itself, as "contrastive loss" does; not where the part is a switch."""
    if topic.proper or topic.present:
        return None
    covers = undominated(_covers(topic.values, tokens, frozenset()))
    return next(iter(covers.items())) if len(covers) == 1 else None


def _covers(
    phrases: Mapping[str, Sequence[str]], tokens: Tokens, taken: Cover
) -> dict[str, Cover]:
    """Find each name's phrases in a text; only the names that are there."""
    found = {name: _cover(words, tokens, taken) for name, words in phrases.items()}
    return {name: cover for name, cover in found.items() if cover}


def _cover(phrases: Sequence[str], tokens: Tokens, taken: Cover) -> Cover:
    return widest(vocabulary().patterns(tuple(phrases)), tokens, taken)


def _beside(topic: str) -> frozenset[str]:
    table = vocabulary()
    return table.words_of(table.topics[topic].beside)


def _left(tokens: Tokens, cover: Cover, allowed: Collection[str]) -> list[str]:
    """Return the words that are not understood."""
    known = cover | vocabulary().filler_positions(tokens)
    return [word for i, word in enumerate(tokens) if i not in known and word not in allowed]


def _few(names: Mapping[str, Cover]) -> tuple[str, ...]:
    """Return the names that cover most words, a few of them."""
    return tuple(sorted(names, key=lambda name: -len(names[name])))[:_MOST_CANDIDATES]
