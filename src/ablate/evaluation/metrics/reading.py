"""What a generated answer says: an option's letter, or yes or no; None where it cannot be read."""

import re

from ablate.config.schema import Reading
from ablate.data.multiple_choice import LETTERS

# A letter by itself, with what may stand around one: `b`, `B.`, `(b)`.
_ONE_LETTER = re.compile(r"\(?([A-Za-z])[.)]?")


def read_letter(text: str, n_options: int, reading: Reading) -> int | None:
    """Return the index of the option whose letter an answer gives.

    `first`: the first capital letter of an option that stands alone. `strict`: the answer is that
    letter and nothing else; `strict-any-case`: of either case. `lenient`: the answer is a letter of
    either case with or without a dot or brackets, or else the first option, in the options' order,
    whose letter stands in it as `B.` or `(b)`.

    The last three are the rules of the LoRSU authors' evaluation (aresPanos/LoRSU, 6b30bce,
    `eval_vqa_utils.py`), each data set's own: strict for TSI, DALLE, Aircraft, EuroSAT and
    CounterAnimal, of any case for VisOnlyQA, lenient for GTSRB and MMVP.

    Args:
        text: What the model wrote.
        n_options: At most 26.
        reading: The rule.
    """
    letters, text = LETTERS[:n_options], text.strip()
    match reading:
        case "first":
            alone = re.search(rf"\b[A-{letters[-1]}]\b", text)
            return letters.index(alone[0]) if alone else None
        case "strict" | "strict-any-case":
            given = text if reading == "strict" else text.upper()
            return letters.index(given) if len(given) == 1 and given in letters else None
        case "lenient":
            one = _ONE_LETTER.fullmatch(text)
            if one and one[1].upper() in letters:
                return letters.index(one[1].upper())
            found = (f"{letter}." in text or f"({letter.lower()})" in text for letter in letters)
            return next((index for index, is_there in enumerate(found) if is_there), None)


def read_yes_no(text: str, positive: str, negative: str, reading: Reading) -> bool | None:
    """Return whether an answer is the positive word of two, in any case.

    `first`: the first of the two that stands alone. `strict` and `strict-any-case`: the answer is
    one of them and nothing else but dots (the authors' rule for Hateful Memes). `lenient`: one of them occurs in it,
    even inside a word (theirs for VSR); where both do, nothing can be read: theirs counts it as correct.

    Args:
        text: What the model wrote.
        positive: The word for yes.
        negative: The word for no.
        reading: The rule.
    """
    words = positive.lower(), negative.lower()
    match reading:
        case "first":
            found = re.search(
                rf"\b(?:({re.escape(positive)})|{re.escape(negative)})\b", text, flags=re.IGNORECASE
            )
            return None if found is None else found[1] is not None
        case "strict" | "strict-any-case":
            bare = text.lower().replace(".", "").strip()
            return bare == words[0] if bare in words else None
        case "lenient":
            said = [word in text.lower() for word in words]
            return said[0] if said[0] != said[1] else None
