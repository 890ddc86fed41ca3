"""The text-only questions: six rules, each over words that the tiny tokenizer knows whole."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from ablate.world.questions import Question
from ablate.world.scenes import COLOURS, COUNTS, SHAPES

# Everyday things, named as the glyphs of the shape world are.
THINGS = (
    *("cat", "dog", "bird", "fish", "horse", "car", "boat", "tree", "flower", "house"),
    *("chair", "table", "cup", "bottle", "book", "clock", "key", "lamp", "apple", "bread"),
)
_KINDS = (COLOURS, SHAPES, COUNTS, THINGS)


@dataclass(frozen=True)
class WordItem:
    """A question with what decides which draw may ask it.

    Attributes:
        question: The question.
        others: Other questions about the same words, which a later turn need not repeat.
        combination: The words that stand together in it, whatever their order and whichever is asked
            for. All items of a combination belong to one draw, so that no answer of a held-out draw can
            have been learned by heart. (Holding out a word with its answer would teach the opposite:
            that this answer is never correct.)
    """

    question: Question
    others: tuple[Question, ...]
    combination: str


class Chances:
    """Uniform numbers in 0..1 that are used up one after the other."""

    def __init__(self, values: Sequence[float]) -> None:
        """Start at the first of `values`."""
        self._values = iter(values)

    def index(self, n: int) -> int:
        """Return a number from 0 to n - 1."""
        return int(next(self._values) * n)

    def choose(self, words: Sequence[str], n: int) -> list[str]:
        """Return `n` different words in random order."""
        left = list(words)
        return [left.pop(self.index(len(left))) for _ in range(n)]


def _item(
    told: str, questions: Sequence[Question], index: int, together: Sequence[str]
) -> WordItem:
    """Return the question at `index` of those about the words told."""
    question = replace(questions[index], text=f"{told}\n{questions[index].text}")
    others = (*questions[:index], *questions[index + 1 :])
    return WordItem(question, others, " ".join(sorted(together)))


def _row(words: Sequence[str]) -> str:
    return f"in a row: {' '.join(words)}"


def recall(chances: Chances) -> WordItem:
    """Ask for the colour that one of three things was said to have."""
    things, colours = chances.choose(THINGS, 3), chances.choose(COLOURS, 3)
    pairs = list(zip(things, colours, strict=True))
    told = " and ".join(f"a {colour} {thing}" for thing, colour in pairs)
    questions = [Question(f"what colour is the {t}?", c, tuple(colours)) for t, c in pairs]
    questions += [Question(f"what is {c}?", t, tuple(things)) for t, c in pairs]
    return _item(told, questions, chances.index(3), things)


def position(chances: Chances) -> WordItem:
    """Ask for the word in a numbered place of a list of five."""
    listed = chances.choose(THINGS, 5)
    questions = [
        Question(f"what is word {COUNTS[i + 1]}?", word, tuple(listed))
        for i, word in enumerate(listed)
    ]
    return _item(_row(listed), questions, chances.index(5), listed)


def count(chances: Chances) -> WordItem:
    """Ask how many of five words are colours or shapes; the others are things."""
    kind, name = ((COLOURS, "colour"), (SHAPES, "shape"))[chances.index(2)]
    n_kind = 1 + chances.index(4)
    words = [*chances.choose(kind, n_kind), *chances.choose(THINGS, 5 - n_kind)]
    question = Question(f"how many are a {name}?", COUNTS[n_kind], COUNTS[1:5])
    return _item(_row(chances.choose(words, 5)), [question], 0, words)


def neighbour(chances: Chances) -> WordItem:
    """Ask for the word left or right of another one in a list of four."""
    listed = chances.choose(THINGS, 4)
    pairs = list(pairwise(listed))
    options = tuple(listed)
    questions = [Question(f"what is right of {left}?", right, options) for left, right in pairs]
    questions += [Question(f"what is left of {right}?", left, options) for left, right in pairs]
    return _item(_row(listed), questions, chances.index(6), listed)


def number(chances: Chances) -> WordItem:
    """Ask for the biggest, the smallest or the middle one of five numbers."""
    numbers = chances.choose(COUNTS, 5)
    ranked = sorted(numbers, key=COUNTS.index)
    questions = [
        Question(f"what is the {name}?", ranked[rank], tuple(numbers))
        for name, rank in (("biggest", -1), ("smallest", 0), ("middle", 2))
    ]
    return _item(_row(numbers), questions, chances.index(3), numbers)


def odd(chances: Chances) -> WordItem:
    """Ask for the one word of four that is of another kind: colour, shape, number or thing."""
    kind = chances.index(len(_KINDS))
    other = (kind + 1 + chances.index(len(_KINDS) - 1)) % len(_KINDS)
    (answer,) = chances.choose(_KINDS[other], 1)
    words = chances.choose([answer, *chances.choose(_KINDS[kind], 3)], 4)
    question = Question("what is not like the rest?", answer, tuple(words))
    return _item(_row(words), [question], 0, words)


# Numbers that the longest of the topics uses up.
N_CHANCES = 12

TOPICS: dict[str, Callable[[Chances], WordItem]] = {
    "recall": recall,
    "position": position,
    "count": count,
    "neighbour": neighbour,
    "number": number,
    "odd": odd,
}
