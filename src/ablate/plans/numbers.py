"""Numbers as people write them: words, units, percent, lists, and ranges such as "8 to 256, doubling"."""

import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from ablate.plans.vocabulary import Kind, vocabulary
from ablate.plans.words import LONGEST_TEXT, tokens_of

Number = int | float
_MOST_VALUES = 64
_LONGEST_NUMBER = 24
_LARGEST = Decimal(10) ** 15
_UNSIGNED = r"(?:\d+(?:\.\d+)?|\.\d+)(?:e[-+]?\d{1,3})?"
# Digits in a name ("b16") are no number, and the hyphen of "8-256" no sign.
_NUMBER = rf"(?<![\w.])(?:(?<![)%\]])[-+])?(?<![\w.]){_UNSIGNED}%?(?!\w)"
_POWER = re.compile(
    rf"(?:({_UNSIGNED})\s*[x\u00d7*\u00b7]\s*)?\b10\s*\^\s*\{{?\s*(-?\s*\d{{1,2}})\s*\}}?"
)
_SUPERSCRIPT = re.compile(r"10([⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+)")
_THOUSANDS = re.compile(r"(?<![\w.,])\d{1,3}(?:,\d{3})+(?![\d.])")
_GAP = re.compile(r"[^\W\d_]+|[^\s()\[\]{}'\"`.:*]")
_SEPARATORS = frozenset((",", ";", "/", "|", "&", "and", "or", "vs", "versus"))


class NotNumbersError(ValueError):
    """A text that cannot be read as numbers without a guess; it says why."""


@dataclass(frozen=True)
class Numbers:
    """The numbers of one text.

    Attributes:
        values: The numbers.
        is_baseline: Whether the text calls the number the default.
    """

    values: tuple[Number, ...]
    is_baseline: bool


def read_numbers(text: str, kind: Kind, beside: Collection[str]) -> Numbers:
    """Read the numbers in a text.

    Args:
        text: A replacement, such as `rank 8`, `10 %`, `eight` or `8 to 256, doubling`.
        kind: What they have to be.
        beside: Words that may stand beside them, units among them.

    Returns:
        Them.

    Raises:
        NotNumbersError: If it holds none, or anything that is not understood.
    """
    factor, step, plain = _step(_normalised(text), kind)
    is_spread = factor is not None or step is not None
    numbers = [_decimal(number, kind) for number in re.findall(_NUMBER, plain)]
    gaps = [_GAP.findall(gap) for gap in re.split(_NUMBER, plain)]
    table = vocabulary()
    marks = {word for phrase in table.baseline for word in tokens_of(phrase)}
    joints = {"-", *table.range}
    allowed = {*beside, *marks, *_SEPARATORS, *joints, *table.range_start, "="}
    allowed |= {*table.step_words} if is_spread else set()
    for word in (word for gap in gaps for word in gap):
        if word not in allowed and not set(tokens_of(word)) & allowed:
            raise NotNumbersError(f"'{word}' is not understood")
    if not numbers:
        raise NotNumbersError("it holds no number")
    is_baseline = any(word in marks for gap in gaps for word in gap)
    if is_baseline and len(numbers) > 1:
        raise NotNumbersError("it does not say which of its numbers is the baseline")
    between = [set(gap) & {*_SEPARATORS, *joints} for gap in gaps[1:-1]]
    is_list = all(gap and gap <= _SEPARATORS for gap in between)
    is_range = is_spread or bool({*gaps[0]} & {*table.range_start})
    if len(numbers) == 2 and (is_range or between[0] & joints):
        numbers = _spread(numbers[0], numbers[1], factor, step)
    elif is_range or not is_list:
        raise NotNumbersError("its numbers are neither a list nor a range that is understood")
    return Numbers(tuple(_typed(number, kind) for number in numbers), is_baseline)


def _normalised(text: str) -> str:
    """Write powers of ten, thousands, magnitudes, number words and percent as plain numbers."""
    # Superscripts become digits, so their power has to be marked before.
    plain = unicodedata.normalize("NFKC", _SUPERSCRIPT.sub(r"10^\1", text[:LONGEST_TEXT])).lower()
    if ".." in plain:
        raise NotNumbersError("it leaves numbers out")
    plain = re.sub("[\u2212\u2010\u2011]", "-", plain)
    plain = re.sub("[\u2013\u2014]", " to ", plain)
    plain = _POWER.sub(lambda m: f"{m[1] or 1}e{m[2].replace(' ', '')}", plain)
    plain = _THOUSANDS.sub(lambda m: _without_commas(m[0]), plain)
    table = vocabulary()
    magnitude = rf"(?<![\w.])({_UNSIGNED})({'|'.join(table.magnitudes)})\b"
    plain = re.sub(magnitude, lambda m: f"{_plain_number(m[1]) * table.magnitudes[m[2]]:f}", plain)
    plain = _number_words().sub(lambda m: str(_worded(re.split(r"[\s-]+", m[0]))), plain)
    return re.sub(r"(?<=\d)\s*(?:%|percent\b|per cent\b)", "%", plain)


def _without_commas(number: str) -> str:
    """Join thousands: "10,000" is one number, "100,200" may be two."""
    if any(group[0] == "0" for group in number.split(",")[1:]):
        return number.replace(",", "")
    raise NotNumbersError(f"'{number}' may be one number or several")


@lru_cache
def _number_words() -> re.Pattern[str]:
    word = "|".join(vocabulary().numbers)
    return re.compile(rf"\b(?:{word})(?:[\s-]+(?:{word}))*\b")


def _worded(words: list[str]) -> int:
    """Work out "sixteen", "twenty-five", "two hundred fifty six"."""
    table = vocabulary().numbers
    total = part = 0
    for word in words:
        value = table[word]
        if value in (100, 1000):
            total, part = (total + max(part, 1)) * value, 0
        elif part and not (part >= 20 and value < 10):
            raise NotNumbersError(f"'{' '.join(words)}' is not understood")
        else:
            part += value
    return total + part


def _step(text: str, kind: Kind) -> tuple[Decimal | None, Decimal | None, str]:
    """Find how a range goes on.

    Returns:
        The factor, or the increment, between its values; and the text without that.
    """
    steps = vocabulary().steps
    for phrase in sorted(steps.multiply, key=len, reverse=True):
        # Number words are digits by now.
        worded = _number_words().sub(lambda m: str(_worded(m[0].split())), phrase)
        if match := re.search(rf"\b{re.escape(worded)}\b", text):
            rest = f"{text[: match.start()]} {text[match.end() :]}"
            return Decimal(steps.multiply[phrase]), None, rest
    for phrase in sorted(steps.add, key=len, reverse=True):
        if match := re.search(rf"\b{re.escape(phrase)}\s+({_UNSIGNED}%?)", text):
            rest = f"{text[: match.start()]} {text[match.end() :]}"
            return None, _decimal(match[1], kind), rest
    return None, None, text


def _spread(
    first: Decimal, last: Decimal, factor: Decimal | None, step: Decimal | None
) -> list[Decimal]:
    """Write out a range, from its first to its last value.

    Raises:
        NotNumbersError: If it does not say how it goes on, or does not come to its end.
    """
    if factor is None and step is None:
        raise NotNumbersError("it is a range that does not say how it goes on")
    low, high = min(first, last), max(first, last)
    if (factor is not None and low <= 0) or (step is not None and step <= 0):
        raise NotNumbersError("it is a range without end")
    values = [low]
    while values[-1] < high and len(values) <= _MOST_VALUES:
        values.append(values[-1] * factor if factor is not None else values[-1] + (step or 0))
    if len(values) > _MOST_VALUES:
        raise NotNumbersError(f"it is a range of more than {_MOST_VALUES} values")
    if values[-1] != high:
        raise NotNumbersError(f"it is a range that does not come to {high:g} in its steps")
    return values if first == low else values[::-1]


def _decimal(number: str, kind: Kind) -> Decimal:
    if not number.endswith("%"):
        return _plain_number(number)
    if kind != "fraction":
        raise NotNumbersError(f"'{number}' is a share, but its key takes a number")
    return _plain_number(number[:-1]) / 100


def _plain_number(number: str) -> Decimal:
    value = Decimal(number) if len(number) <= _LONGEST_NUMBER else _LARGEST
    if value and not 1 / _LARGEST < abs(value) < _LARGEST:
        raise NotNumbersError("it holds a number beyond measure")
    return value


def _typed(value: Decimal, kind: Kind) -> Number:
    if kind != "integer":
        return float(value)
    if value != value.to_integral_value():
        raise NotNumbersError(f"{value} is not a whole number")
    return int(value)
