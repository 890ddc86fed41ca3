"""The verdict in words."""

from collections.abc import Iterator, Sequence

from ablate.report.numbers import interval, name_of, number, p_value, shown
from ablate.report.verdict import AblationReport, Comparison, Verdict
from ablate.results.record import Cell

_ORDER: tuple[Verdict, ...] = (
    "better",
    "worse",
    "different",
    "equivalent",
    "undecided",
    "untested",
)


def sentence(one: Comparison, baseline: Cell) -> str:
    """Return the verdict of one comparison as a sentence.

    Args:
        one: The comparison, its verdict known.
        baseline: The ablation's baseline value.
    """
    what = f"{one.metric} of {name_of(one)}"
    if one.verdict == "baseline":
        return f"{what} is the baseline: {number(one.metric, one.mean)}, mean of {_seeds(one.n_seeds)}."
    if one.verdict == "untested":
        return f"{what} is not tested against the baseline: {one.reason}."
    against = f"that of the baseline {shown(baseline)}"
    difference = number(one.metric, one.difference, signed=True)
    if one.p is None:
        if not one.difference:
            return f"{what} is {against}, in every seed."
        return f"{what} is {one.verdict}: {difference} in every seed."
    facts = [f"p = {p_value(one.p_holm)} after Holm".replace("= <", "<")]
    if one.low is not None:
        facts.insert(0, f"95 % interval {interval(one)}")
    found = f"{difference} ({', '.join(facts)})"
    if one.holds:
        is_small = one.margin != one.smallest_shown and _is_within(one)
        within = f"; it is within the margin of {_margin(one)}" if is_small else ""
        return f"{what} is {one.verdict} than {against}: {found}{within}.".replace(
            "different than", "different from"
        )
    if one.verdict == "equivalent":
        if one.low is None:
            return f"{what} is {against}, in every item."
        return f"{what} is equivalent to {against} within {_margin(one)}: {found}."
    return f"{what} may or may not differ from {against}: {found}; {plan(one)}."


def plan(one: Comparison) -> str:
    """Say what would decide an undecided comparison."""
    seeds = None if one.needed_seeds is None else f"about {one.needed_seeds} seeds"
    items = None if one.needed_items is None else f"about {one.needed_items:,} items"
    if one.n_seeds < 2:
        return "one seed: seed noise unknown, at least 3 seeds would say more"
    if seeds and items:
        return f"{seeds} or {items} would decide it"
    if seeds or items:
        other = "items" if seeds else "seeds"
        alone = f"; more {other} alone would not" if one.n_clusters else ""
        return f"{seeds or items} would decide it{alone}"
    return "a thousandfold of seeds or items would not decide it, each alone"


def answer(report: AblationReport) -> Iterator[str]:
    """Yield an ablation's verdict: one sentence for each metric."""
    for metric in report.metrics:
        compared = [one for one in report.of(metric) if not one.is_baseline]
        if report.key is None or not compared:
            continue
        parts = [
            part
            for verdict in _ORDER
            if (part := _group(verdict, [one for one in compared if one.verdict == verdict]))
        ]
        yield f"{metric}, against {report.key}={shown(report.baseline)}: {'; '.join(parts)}."


def _group(verdict: Verdict, those: Sequence[Comparison]) -> str:
    """Return the values of one verdict, each with what matters for it."""
    if not those:
        return ""
    if verdict == "equivalent":
        margins = [one.margin for one in those if one.margin is not None and one.low is not None]
        within = f" within {number(those[0].metric, max(margins))}" if margins else ""
        return f"equivalent{within} {', '.join(name_of(one) for one in those)}"
    if verdict == "untested":
        reasons = {one.reason: None for one in those}
        return "; ".join(
            f"not tested {', '.join(name_of(one) for one in those if one.reason == reason)} ({reason})"
            for reason in reasons
        )
    details = [number(one.metric, one.difference, signed=True) for one in those]
    if verdict == "undecided":
        details = [f"{text}: {plan(one)}" for text, one in zip(details, those, strict=True)]
    named = [f"{name_of(one)} ({text})" for one, text in zip(those, details, strict=True)]
    return f"{verdict} {', '.join(named)}"


def _is_within(one: Comparison) -> bool:
    """Tell whether the whole interval lies within the margin."""
    if one.low is None or one.high is None or one.margin is None:
        return False
    return -one.margin < one.low and one.high < one.margin


def _margin(one: Comparison) -> str:
    margin = number(one.metric, one.margin)
    if one.margin == one.smallest_shown:
        return f"{margin}, the smallest difference that could have been shown"
    return margin


def _seeds(n: int) -> str:
    return "1 seed" if n == 1 else f"{n} seeds"
