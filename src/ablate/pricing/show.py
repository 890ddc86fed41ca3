"""A plan as people read it."""

from collections.abc import Iterator, Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from ablate.config.text import printable

TERA, GIGA = 1e12, 1e9


def table(rows: Sequence[dict[str, Any]]) -> Table:
    """Return the runs of a plan; columns of operations are those that are left to do."""
    shown = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for position, name in enumerate(_HEADER):
        shown.add_column(Text(name), justify="left" if position < 2 else "right", no_wrap=True)
    for row in rows:
        shown.add_row(*(Text(printable(cell)) for cell in _cells(row)))
    return shown


_HEADER = (
    "run",
    "state",
    "trained",
    "effective",
    "steps",
    "importance TFLOP",
    "training",
    "evaluation",
    "weights GB",
    "gradients",
    "optimiser",
    "activations",
    "evaluation GB",
    "peak",
    "fits",
    "hours",
)


def _cells(row: dict[str, Any]) -> Iterator[str]:
    yield row["run_id"]
    yield row["state"]
    for key in ("trained", "effective", "steps"):
        yield "" if row[key] is None else f"{row[key]:,}"
    least = "> " if row["not_priced"] else ""
    yield number(row["importance_flops"], TERA)
    yield number(row["training_flops"], TERA)
    evaluation = number(row["evaluation_flops"], TERA)
    yield evaluation and f"{least}{evaluation}"
    for key in ("weight", "gradient", "optimizer", "activation", "evaluation_peak", "peak"):
        cell = number(row[f"{key}_bytes"], GIGA)
        yield f"{least}{cell}" if cell and key == "peak" else cell
    yield row["fits"] or ""
    hours = hours_text(row["hours_low"], row["hours_high"])
    yield hours and f"{least}{hours}"


def hours_text(low: float | None, high: float | None) -> str:
    """Write a range of hours; nothing where it is not known."""
    if low is None or high is None:
        return ""
    written = [
        f"{low:.2g}" if low < 10 else f"{low:.0f}",
        f"{high:.2g}" if high < 10 else f"{high:.0f}",
    ]
    return written[0] if written[0] == written[1] else " to ".join(written)


def number(value: float | None, unit: float) -> str:
    """Write a number in a unit to three digits; nothing where it is not known."""
    if value is None:
        return ""
    scaled = value / unit
    return "0" if not scaled else f"{scaled:.3g}" if scaled < 1000 else f"{scaled:,.0f}"
