"""The table of the field's words, typed: vocabulary.yaml."""

from dataclasses import field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Literal

import yaml
from pydantic import TypeAdapter
from pydantic.dataclasses import dataclass

from ablate.config.schema import AxisValue
from ablate.config.schema.fields import CLOSED
from ablate.plans.words import Pattern, Tokens, tokens_of

Kind = Literal["integer", "number", "fraction", "choice"]
Phrases = tuple[str, ...]
TINY, REAL = 0, 1
"""Places in the pairs of the table: for the tiny models, and for others."""


@dataclass(frozen=True, config=CLOSED)
class Topic:
    """What an ablation varies.

    Attributes:
        key: The configuration key or group.
        kind: What its values are.
        words: Phrases that name it.
        maybe: Phrases that only suggest it.
        beside: Words that may stand beside them and beside a value, without another meaning.
        values: Phrases by value, where values are names.
        members: The names that a value stands for: of a tiny one and of a real one.
        proper: Whether the values are names that count wherever they stand.
        like: The shipped ablation whose settings the tiny models need.
        real: The entry of `settings` that other models need.
        present: The value that switches the part on, if there is one; several are candidates.
        absent: The value that switches it off.
        note: What has to be known about its values.
    """

    key: str
    kind: Kind
    words: Phrases
    maybe: Phrases = ()
    beside: Phrases = ()
    values: dict[str, Phrases] = field(default_factory=dict)
    members: dict[str, tuple[str, str]] = field(default_factory=dict)
    proper: bool = False
    like: str | None = None
    real: str | None = None
    present: tuple[AxisValue, ...] = ()
    absent: tuple[AxisValue, ...] = ()
    note: str | None = None

    def member(self, value: AxisValue, size: int) -> AxisValue:
        """Return the choice that a value stands for; itself where it stands for no family."""
        return self.members[value][size] if value in self.members else value


@dataclass(frozen=True, config=CLOSED)
class Keyless:
    """A part that no key varies.

    Attributes:
        words: Phrases that name it.
        reason: Why.
    """

    words: Phrases
    reason: str


@dataclass(frozen=True, config=CLOSED)
class Metric:
    """A column of results.csv.

    Attributes:
        words: Phrases that name it.
        needs: What a run needs for the column to be filled.
    """

    words: Phrases
    needs: Literal["few-shot", "controls", "sessions", "suite", "text-suite"] | None


@dataclass(frozen=True, config=CLOSED)
class Steps:
    """How a range goes on.

    Attributes:
        multiply: Factor by phrase.
        add: Phrases before an increment.
    """

    multiply: dict[str, int]
    add: Phrases


@dataclass(frozen=True, config=CLOSED)
class Vocabulary:
    """The whole table; vocabulary.yaml explains its parts."""

    seeds: tuple[int, ...]
    fields: dict[str, Phrases]
    nothing: Phrases
    actions: dict[str, Phrases]
    filler: Phrases
    baseline: Phrases
    numbers: dict[str, int]
    magnitudes: dict[str, int]
    range: Phrases
    range_start: Phrases
    steps: Steps
    step_words: Phrases
    terms: dict[str, Phrases]
    topics: dict[str, Topic]
    keyless: tuple[Keyless, ...]
    metrics: dict[str, Metric]
    metric_filler: Phrases
    suites: dict[str, tuple[str, str]]
    settings: dict[str, dict[str, str | None]]
    tiny_models: Phrases

    @cached_property
    def filler_words(self) -> frozenset[str]:
        """Single words that say nothing about what is meant."""
        return self.words_of(tuple(word for word in self.filler if " " not in word))

    def filler_positions(self, tokens: Tokens) -> frozenset[int]:
        """Find the longer phrases that say nothing about what is meant."""
        patterns = self.patterns(tuple(word for word in self.filler if " " in word))
        return frozenset[int]().union(*(one.cover(tokens) or () for one in patterns))

    def patterns(self, phrases: Phrases) -> tuple[Pattern, ...]:
        """Read phrases with this table's terms."""
        return _patterns(phrases, tuple(self.terms.items()))

    def words_of(self, phrases: Phrases) -> frozenset[str]:
        """Return every word of some phrases."""
        patterns = self.patterns(phrases)
        return frozenset(w for p in patterns for part in p.parts for one in part for w in one)

    def allowed_beside(self, topic: Topic) -> frozenset[str]:
        """Return the words that may stand beside a value of a topic."""
        return self.filler_words | self.words_of((*topic.beside, *topic.words))

    def is_nothing(self, text: str) -> bool:
        """Tell whether a field's text says that the field is empty."""
        return text.strip().lower() in {"", *self.nothing} or tokens_of(text) in self._nothing

    @cached_property
    def _nothing(self) -> frozenset[Tokens]:
        return frozenset(tokens_of(word) for word in self.nothing) - {()}


@lru_cache
def _patterns(phrases: Phrases, terms: tuple[tuple[str, Phrases], ...]) -> tuple[Pattern, ...]:
    return tuple(Pattern.of(phrase, dict(terms)) for phrase in phrases)


@lru_cache
def vocabulary() -> Vocabulary:
    """Read the table that travels with the package."""
    text = Path(__file__).with_name("vocabulary.yaml").read_text(encoding="utf-8")
    table: Vocabulary = TypeAdapter(Vocabulary).validate_python(yaml.safe_load(text))
    return table
