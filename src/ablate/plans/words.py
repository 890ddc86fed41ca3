"""Text as words, and phrases found in it."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Tokens = tuple[str, ...]
_WORD = re.compile(r"[^\W_]+")
_TERM = re.compile(r"<(\w+)>")
# Longer text names no part and no value.
LONGEST_TEXT = 500


def tokens_of(text: str) -> Tokens:
    """Split text into words: lower case, no punctuation, no possessive, no plural.

    >>> tokens_of("LoRSU's low-rank updates")
    ('lorsu', 'low', 'rank', 'update')
    """
    plain = unicodedata.normalize("NFKC", text[:LONGEST_TEXT]).lower()
    plain = re.sub("['\u2019]s\\b", "", plain)
    return tuple(_singular(word) for word in _WORD.findall(plain))


def _singular(word: str) -> str:
    if len(word) > 4 and word.endswith(("sses", "xes", "ches", "shes")):
        return word[:-2]
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


@dataclass(frozen=True)
class Pattern:
    """Phrases that all have to stand in a text, in any order.

    Attributes:
        parts: For each part the phrases that it may be, the longest first.
    """

    parts: tuple[tuple[Tokens, ...], ...]

    @classmethod
    def of(cls, phrase: str, terms: Mapping[str, Sequence[str]]) -> "Pattern":
        """Read `a + b <term>`.

        Raises:
            KeyError: If there is no such term.
        """
        return cls(tuple(_alternatives(part, terms) for part in phrase.split("+")))

    def cover(self, tokens: Tokens, taken: frozenset[int] = frozenset()) -> frozenset[int] | None:
        """Find the phrases in a text.

        Args:
            tokens: The text.
            taken: Positions that already belong to a name; phrases are looked for elsewhere first.

        Returns:
            The positions of their words, or None if one is not there.
        """
        for avoided in (taken, frozenset[int]()):
            used: frozenset[int] = frozenset()
            for part in sorted(self.parts, key=lambda part: -len(part[0])):
                found = _find(part, tokens, used | avoided)
                if found is None:
                    break
                used |= found
            else:
                return used
        return None


def _alternatives(part: str, terms: Mapping[str, Sequence[str]]) -> tuple[Tokens, ...]:
    match = _TERM.search(part)
    if match is None:
        return (tokens_of(part),)
    spelled = [part.replace(match[0], word, 1) for word in terms[match[1]]]
    phrases = {phrase for text in spelled for phrase in _alternatives(text, terms)}
    return tuple(sorted(phrases, key=lambda phrase: (-len(phrase), phrase)))


def _find(phrases: Sequence[Tokens], tokens: Tokens, used: frozenset[int]) -> frozenset[int] | None:
    for phrase in phrases:
        for start in range(len(tokens) - len(phrase) + 1):
            span = frozenset(range(start, start + len(phrase)))
            if tokens[start : start + len(phrase)] == phrase and not span & used:
                return span
    return None


def widest(
    patterns: Sequence[Pattern], tokens: Tokens, taken: frozenset[int] = frozenset()
) -> frozenset[int]:
    """Return the positions that the pattern with the most words covers; none if no pattern is there."""
    covers = [pattern.cover(tokens, taken) for pattern in patterns]
    return max((cover for cover in covers if cover), key=len, default=frozenset())


def undominated(covers: Mapping[str, frozenset[int]]) -> dict[str, frozenset[int]]:
    """Leave out what covers only a part of the words that another one covers."""
    return {
        name: cover
        for name, cover in covers.items()
        if not any(cover < other for other in covers.values())
    }
