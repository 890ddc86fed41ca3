"""What a generated answer says: an option's letter, or yes or no; None where it cannot be read."""

import re

from ablate.config.schema import Reading
from ablate.data.multiple_choice import LETTERS

# A letter alone, with one bracket at most.
_LETTER = re.compile(r"\(?[a-z]|[a-z]\)")


def read_letter(text: str, n_options: int, reading: Reading) -> int | None:
    """Return the index of the option whose letter an answer gives.

    `first` is ours: the first capital letter of an option that stands alone. The others are the
    rules of the LoRSU authors' evaluation (aresPanos/LoRSU, 6b30bce, `eval_vqa_utils.py`), each for
    data sets of its own:

    - `strict`, of TSI, DALLE, Aircraft, EuroSAT and CounterAnimal: the answer is the letter and nothing else.
    - `strict-any-case`, of VisOnlyQA: of either case.
    - `lenient`, of GTSRB: a letter of either case, a dot behind it or not; else the first option, in the options'
      order, whose letter stands in the answer as `B.`
    - `brackets`, of MMVP: the first option that stands in the answer as `(b)`; else a letter alone, of either case.
      Theirs first takes any `yes` or `no` in the answer, even in `nose`, for the first and the second option.

    Args:
        text: What the model wrote.
        n_options: At most 26.
        reading: The rule.
    """
    letters, text = LETTERS[:n_options], text.strip()
    given, marks = text, tuple[str, ...]()
    match reading:
        case "first":
            alone = re.search(rf"\b[A-{letters[-1]}]\b", text)
            return letters.index(alone[0]) if alone else None
        case "strict-any-case":
            given = text.upper()
        case "lenient":
            given = text.upper().removesuffix(".")
            marks = tuple(f"{letter}." for letter in letters)
        case "brackets":
            given = text.upper().strip("()") if _LETTER.fullmatch(text.lower()) else ""
            marks = tuple(f"({letter.lower()})" for letter in letters)
    if len(given) == 1 and given in letters:
        return letters.index(given)
    return next((index for index, mark in enumerate(marks) if mark in text), None)


def read_yes_no(text: str, positive: str, negative: str, reading: Reading) -> bool | None:
    """Return whether an answer is the positive word of two, in any case.

    `first`: the first of the two that stands alone. `lenient`: one of them occurs in it, even inside
    a word (the authors' rule for VSR); where both do, nothing can be read: theirs counts it as
    correct whatever the answer. The others: it is one of them and nothing else but dots (theirs for
    Hateful Memes).

    Args:
        text: What the model wrote.
        positive: The word for yes.
        negative: The word for no.
        reading: The rule.
    """
    words = positive.lower(), negative.lower()
    match reading:
        case "first":
            # The longer word first: `no` stands alone in `no way`.
            either = "|".join(map(re.escape, sorted(words, key=len, reverse=True)))
            found = re.search(rf"\b(?:{either})\b", text.lower())
            return None if found is None else found[0] == words[0]
        case "lenient":
            said = [word in text.lower() for word in words]
            return said[0] if said[0] != said[1] else None
        case _:
            bare = text.lower().strip().replace(".", "")
            return bare == words[0] if bare in words else None
