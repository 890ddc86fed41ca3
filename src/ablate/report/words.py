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
    """Return the verdict of one comparison as a sentence, and what weakens it.

    Args:
        one: The comparison, its verdict known.
        baseline: The ablation's baseline value.
    """
    return ". ".join([_verdict(one, baseline), *(_capital(note) for note in one.notes)]) + "."


def _verdict(one: Comparison, baseline: Cell) -> str:
    what = f"{one.metric} of {name_of(one)}"
    if one.verdict == "baseline":
        mean = number(one.metric, one.mean) or "not measured"
        return f"{what} is the baseline: {mean}, mean of {_seeds(one.n_seeds)}"
    if one.verdict == "untested":
        return f"{what} is not tested: {one.reason}"
    against = f"that of the baseline {shown(baseline)}"
    difference = number(one.metric, one.difference, signed=True)
    if one.p is None:
        verb = "equals" if not one.difference else f"is {_than(one.verdict)}"
        how_much = f", {difference}" if one.difference else ""
        return f"{what} {verb} {against}{how_much} in every seed"
    facts = [f"p {_equals(p_value(one.p_holm))} after Holm"]
    if one.low is not None:
        facts.insert(0, f"95 % interval {interval(one)}")
    found = f"{difference} ({', '.join(facts)})"
    if one.holds:
        is_small = one.margin != one.smallest_shown and _is_within(one)
        within = f"; it is within the margin of {_margin(one)}" if is_small else ""
        return f"{what} is {_than(one.verdict)} {against}: {found}{within}"
    if one.verdict == "equivalent":
        if one.low is None:
            return f"{what} equals {against} in every item"
        return f"{what} is equivalent to {against} within {_margin(one)}: {found}"
    return f"{what} against {against} is undecided: {found}; {plan(one)}"


def plan(one: Comparison) -> str:
    """Say what would decide an undecided comparison."""
    sizes = _sizes(one)
    if not sizes:
        if one.n_seeds < 2:
            return "3 seeds or more would say more"
        return "a thousandfold of seeds or items would not decide it, each alone"
    alone = ""
    if one.n_clusters and (one.needed_seeds is None or one.needed_items is None):
        alone = f"; more {'items' if one.needed_seeds else 'seeds'} alone would not"
    return f"about {sizes} would decide it{alone}"


def _sizes(one: Comparison) -> str:
    seeds = f"{one.needed_seeds:,} seeds" if one.needed_seeds else None
    items = f"{one.needed_items:,} items" if one.needed_items else None
    return " or ".join(filter(None, (seeds, items)))


def answer(report: AblationReport) -> Iterator[str]:
    """Yield an ablation's verdict: one sentence for each metric."""
    for metric in report.metrics:
        compared = [one for one in report.rows(metric) if not one.is_baseline]
        if report.key is None or not compared:
            continue
        parts = [
            part
            for verdict in _ORDER
            if (part := _group(verdict, [one for one in compared if one.verdict == verdict]))
        ]
        notes = "".join(f" {_capital(note)}." for note in _shared_notes(compared))
        yield f"{metric} against {report.key}={shown(report.baseline)} is {'; '.join(parts)}.{notes}"


def _shared_notes(compared: Sequence[Comparison]) -> list[str]:
    """Return what weakens the verdicts of a metric, with the values where it is not all of them."""
    tested = [one for one in compared if one.verdict != "untested"]
    notes = dict.fromkeys(note for one in tested for note in one.notes)
    found = []
    for note in notes:
        those = [name_of(one) for one in tested if note in one.notes]
        found.append(note if len(those) == len(tested) else f"{note} ({', '.join(those)})")
    return found


def _than(verdict: Verdict) -> str:
    return "different from" if verdict == "different" else f"{verdict} than"


def _equals(p: str) -> str:
    return p if p.startswith("<") else f"= {p}"


def _group(verdict: Verdict, those: Sequence[Comparison]) -> str:
    """Return the values of one verdict, each with what matters for it."""
    if not those:
        return ""
    if verdict == "equivalent":
        margins = [one.margin for one in those if one.margin is not None and one.low is not None]
        within = f" within {number(those[0].metric, max(margins))}" if margins else ""
        return f"equivalent{within}: {', '.join(name_of(one) for one in those)}"
    if verdict == "untested":
        reasons = {one.reason: None for one in those}
        return "; ".join(
            f"not tested: {', '.join(name_of(one) for one in those if one.reason == reason)} ({reason})"
            for reason in reasons
        )
    details = [number(one.metric, one.difference, signed=True) for one in those]
    if verdict == "undecided":
        details = [
            ", ".join(filter(None, (text, _sizes(one))))
            for text, one in zip(details, those, strict=True)
        ]
    named = [f"{name_of(one)} ({text})" for one, text in zip(those, details, strict=True)]
    by_what = ", and what would decide it" if any(_sizes(one) for one in those) else ""
    return f"{verdict}{by_what}: {', '.join(named)}"


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


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
