"""REPLACE, REMOVE and ADD: which value is the baseline, and what it is compared with."""

from collections.abc import Sequence
from dataclasses import dataclass

from ablate.config.schema import AxisValue
from ablate.plans.values import Items, NoValueError
from ablate.plans.vocabulary import Topic


@dataclass(frozen=True)
class Compared:
    """Values and baseline.

    Attributes:
        values: The values, the baseline among them where it is known.
        baseline: The value that the others are compared with; None where it has to be chosen.
        because: Why that one; empty where the configuration has it.
        choices: What the table leaves open.
    """

    values: tuple[AxisValue, ...]
    baseline: AxisValue | None
    because: str
    choices: tuple[str, ...] = ()


def compare(action: str, items: Items, topic: Topic, own: AxisValue | None, size: int) -> Compared:
    """Decide what is compared with what.

    Args:
        action: REPLACE, REMOVE or ADD.
        items: The replacements.
        topic: What is varied.
        own: The value that the plan starts from.
        size: Whether families stand for tiny or for real ones.

    Returns:
        It.

    Raises:
        NoValueError: If the part is to be switched off, and no value does that.
    """
    if action == "REPLACE" or (action == "REMOVE" and items.values):
        marked = items.baseline is not None
        baseline = items.baseline if marked else own
        values = _with(baseline, items.values)
        return Compared(values, baseline, "the plan calls it so" if marked else "")
    absent = [topic.member(value, size) for value in topic.absent]
    if not absent:
        raise NoValueError(f"no value of {topic.key} switches it off")
    off = absent[0] if len(absent) == 1 else None
    present = [topic.member(value, size) for value in topic.present]
    usual = [own] if own is not None and own not in absent else []
    on = list(items.values) or [one for one in usual if one in present] or present or usual
    choices = []
    if off is None:
        choices.append(f"the value that leaves it out: {' or '.join(map(str, absent))}")
    if not on:
        choices.append(f"the value that has it, since {topic.key} is {own} here")
    if action == "ADD":
        because = "the part is off with it"
        return Compared(_with(off, on), off, because, tuple(choices))
    one = on[0] if on else None
    values = tuple(value for value in (one, off) if value is not None)
    return Compared(values, one, "the part is on with it", tuple(choices))


def questions(compared: Compared, items: Items) -> tuple[str, ...]:
    """Say what the plan leaves open about values and baseline."""
    asked = list(compared.choices)
    if compared.baseline is None and not asked:
        asked.append("its baseline")
    is_short = len(compared.values) < 2
    open_items = [doubt for doubt in items.doubts if is_short or doubt.is_open]
    if open_items:
        texts = ", ".join(f"'{doubt.text}'" for doubt in open_items)
        asked.append(f"what is meant by {texts}")
    if is_short and not asked:
        asked.append("the values that it is compared with")
    return tuple(asked)


def _with(first: AxisValue | None, others: Sequence[AxisValue]) -> tuple[AxisValue, ...]:
    """Put a baseline in front of values that do not have it."""
    values = tuple(dict.fromkeys(others))
    return values if first is None or first in values else (first, *values)
