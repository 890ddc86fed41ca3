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
        is_worded: Whether every word of it is understood, though more than one key may fit it.
    """

    named: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    is_worded: bool = False


@dataclass(frozen=True)
class _Reading:
    """A part, word by word.

    Attributes:
        tokens: Its words.
        named: The names in it, by topic.
        covers: The words that name each topic that it may be.
        worded: The topics that are there by their own words, not only by a name.
        left: The words that are not understood, if it is that topic.
    """

    tokens: Tokens
    named: Mapping[str, tuple[str, ...]]
    covers: Mapping[str, Cover]
    worded: frozenset[str]
    left: Mapping[str, Sequence[str]]


def match_part(text: str) -> Part:
    """Find the topics that an ablated part names.

    Args:
        text: The part, in the plan's words.

    Returns:
        The topics, the doubt about them, and the names in the text; no topic where no key varies it.
    """
    reading = _read(tokens_of(text))
    named = reading.named
    complete = undominated({n: c for n, c in reading.covers.items() if not reading.left[n]})
    if complete:
        doubt = None if len(complete) == 1 else "more than one key fits it"
        return Part(_few(complete), doubt, named, is_worded=True)
    by_words = undominated({name: reading.covers[name] for name in reading.worded})
    reason = _reason_without_key(reading.tokens, by_words)
    if reason is not None:
        return Part((), reason, named)
    if by_words:
        return _not_understood(reading, by_words)
    topics = vocabulary().topics
    maybe = _covers({n: topic.maybe for n, topic in topics.items()}, reading.tokens, frozenset())
    if maybe:
        return Part(_few(undominated(maybe)), "it may mean this, or something else", named)
    if reading.left:
        return _not_understood(reading, reading.left)
    return Part((), "no key varies it, as far as its words are known", named)


def _read(tokens: Tokens) -> _Reading:
    table = vocabulary()
    names = _names_in(tokens)
    named: dict[str, tuple[str, ...]] = {}
    for owner, name in names:
        named[owner] = (*named.get(owner, ()), name)
    taken = frozenset[int]().union(*names.values())
    found = _covers({name: topic.words for name, topic in table.topics.items()}, tokens, taken)
    # "Low-rank adaptation" is a method and no rank.
    covers = {n: c for n, c in found.items() if not any(c < name for name in names.values())}
    worded = frozenset(covers)
    for (owner, _), cover in names.items():
        if not any(cover <= other for other in covers.values()):
            covers[owner] = covers.get(owner, frozenset()) | cover
    left = {}
    for owner, cover in covers.items():
        topic = table.topics[owner]
        value = _value_in(topic, tokens)
        if value is not None:
            named.setdefault(owner, (value[0],))
        known = cover | taken | (value[1] if value is not None else frozenset())
        allowed = table.filler_words | table.words_of((*topic.beside, *topic.words))
        left[owner] = _left(tokens, known, allowed)
    return _Reading(tokens, named, covers, worded, left)


def _reason_without_key(tokens: Tokens, by_words: Mapping[str, Cover]) -> str | None:
    """Return why no key varies a part, if what has no key is the better reading of it."""
    covers = _covers({one.reason: one.words for one in vocabulary().keyless}, tokens, frozenset())
    if covers and all(any(c < other for other in covers.values()) for c in by_words.values()):
        return max(covers, key=lambda reason: len(covers[reason]))
    return None


def _not_understood(reading: _Reading, topics: Collection[str]) -> Part:
    fits = sorted(topics, key=lambda name: len(reading.left[name]))[:_MOST_CANDIDATES]
    words = ", ".join(dict.fromkeys(reading.left[fits[0]]))
    return Part(tuple(fits), f"not understood in it: {words}", reading.named)


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
    if len(covers) == 1:
        # "CLIP's contrastive loss" names one value twice.
        allowed |= table.words_of(tuple(phrases[next(iter(covers))]))
    return _one_of(covers, tokens, allowed), is_baseline


def match_metric(text: str, tasks: Sequence[str]) -> Match:
    """Find the column of results.csv that a metric names.

    Args:
        text: The metric.
        tasks: Tasks whose own scores are rows of tasks.csv, and no column.
    """
    table = vocabulary()
    phrases = {name: (*metric.words, name) for name, metric in table.metrics.items()}
    tokens = tokens_of(text)
    filler = table.filler_words | table.words_of(table.metric_filler)
    covers = undominated(_covers(phrases, tokens, frozenset()))
    # "Forgetting accuracy" is about forgetting.
    telling = {n: cover for n, cover in covers.items() if {tokens[i] for i in cover} - filler}
    match = _one_of(telling or covers, tokens, filler)
    names = {"".join(tokens_of(task)) for task in tasks}
    whole = {"".join(tokens), "".join(word for word in tokens if word not in filler)}
    if match.doubt is not None and whole & names:
        return Match((), "a task's own score is a row of tasks.csv, no column of results.csv")
    if not match.fits:
        return Match((), "no column of results.csv is called that")
    return match


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


def _covers(phrases: Mapping[str, Sequence[str]], tokens: Tokens, taken: Cover) -> dict[str, Cover]:
    """Find each name's phrases in a text; only the names that are there."""
    found = {name: _cover(words, tokens, taken) for name, words in phrases.items()}
    return {name: cover for name, cover in found.items() if cover}


def _cover(phrases: Sequence[str], tokens: Tokens, taken: Cover) -> Cover:
    return widest(vocabulary().patterns(tuple(phrases)), tokens, taken)


def _left(tokens: Tokens, cover: Cover, allowed: Collection[str]) -> list[str]:
    """Return the words that are not understood."""
    known = cover | vocabulary().filler_positions(tokens)
    return [word for i, word in enumerate(tokens) if i not in known and word not in allowed]


def _few(names: Mapping[str, Cover]) -> tuple[str, ...]:
    """Return the names that cover most words, a few of them."""
    return tuple(sorted(names, key=lambda name: -len(names[name])))[:_MOST_CANDIDATES]
