"""What the text-only questions ask: six rules, each over words that the tiny tokenizer knows whole."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ablate.data.shapes.questions import Question
from ablate.data.shapes.world import COLOURS, COUNTS, SHAPES

# Everyday things, named as the glyphs of the shape world are.
THINGS = (
    *("cat", "dog", "bird", "fish", "horse", "car", "boat", "tree", "flower", "house"),
    *("chair", "table", "cup", "bottle", "book", "clock", "key", "lamp", "apple", "bread"),
)
_KINDS = (COLOURS, SHAPES, COUNTS, THINGS)
_EXTREMES = ("biggest", "smallest")
_SIDES = ("left", "right")


@dataclass(frozen=True)
class WordItem:
    """A question with what decides which draw may ask it.

    Attributes:
        question: The question.
        combination: The words that stand together in it, whatever their order and whichever is asked
            for. All items of a combination belong to one draw, so that no answer of a held-out draw can
            have been learned by heart. (Holding out a word with its answer would teach the opposite:
            that this answer is never right.)
    """

    question: Question
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


def _item(text: str, answer: str, options: Sequence[str], together: Sequence[str]) -> WordItem:
    return WordItem(Question(text, answer, tuple(options)), " ".join(sorted(together)))


def recall(chances: Chances) -> WordItem:
    """Ask for the colour that one of three things was said to have."""
    things, colours = chances.choose(THINGS, 3), chances.choose(COLOURS, 3)
    asked = chances.index(3)
    told = " and ".join(f"the {t} is {c}" for t, c in zip(things, colours, strict=True))
    text = f"{told}\nwhat colour is the {things[asked]}?"
    return _item(text, colours[asked], colours, things)


def position(chances: Chances) -> WordItem:
    """Ask for the word in a numbered place of a list of five."""
    listed = chances.choose(THINGS, 5)
    place = chances.index(5)
    text = f"in a row: {' '.join(listed)}\nwhat is word {COUNTS[place + 1]}?"
    return _item(text, listed[place], listed, listed)


def count(chances: Chances) -> WordItem:
    """Ask how many of five words are colours or shapes; the others are things."""
    kind, name = ((COLOURS, "colour"), (SHAPES, "shape"))[chances.index(2)]
    n_kind = 1 + chances.index(4)
    words = [*chances.choose(kind, n_kind), *chances.choose(THINGS, 5 - n_kind)]
    text = f"in a row: {' '.join(chances.choose(words, 5))}\nhow many are a {name}?"
    return _item(text, COUNTS[n_kind], COUNTS[1:5], words)


def neighbour(chances: Chances) -> WordItem:
    """Ask for the word left or right of another one in a list of four."""
    listed = chances.choose(THINGS, 4)
    place, side = chances.index(3), _SIDES[chances.index(2)]
    left, right = listed[place : place + 2]
    asked, answer = (right, left) if side == "left" else (left, right)
    text = f"in a row: {' '.join(listed)}\nwhat is {side} of {asked}?"
    return _item(text, answer, listed, listed)


def number(chances: Chances) -> WordItem:
    """Ask for the biggest or smallest of four numbers."""
    numbers = chances.choose(COUNTS, 4)
    extreme = _EXTREMES[chances.index(2)]
    values = [COUNTS.index(word) for word in numbers]
    answer = COUNTS[max(values) if extreme == "biggest" else min(values)]
    text = f"in a row: {' '.join(numbers)}\nwhat is the {extreme}?"
    return _item(text, answer, numbers, numbers)


def odd(chances: Chances) -> WordItem:
    """Ask for the one word of four that is of another kind: colour, shape, number or thing."""
    kind = chances.index(len(_KINDS))
    other = (kind + 1 + chances.index(len(_KINDS) - 1)) % len(_KINDS)
    (answer,) = chances.choose(_KINDS[other], 1)
    words = chances.choose([answer, *chances.choose(_KINDS[kind], 3)], 4)
    text = f"in a row: {' '.join(words)}\nwhat is not like the rest?"
    return _item(text, answer, words, words)


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
