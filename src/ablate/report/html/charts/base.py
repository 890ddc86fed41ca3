"""What every interactive picture has in common.

Names from outside are data or titles, never part of an expression or of a field's name.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from ablate.report.figures.style import CYCLE, INK, QUIET, short
from ablate.results.columns import METRICS

Row = dict[str, str | int | float | bool | None]
# Ink would not be seen on a dark page.
COLOURS = tuple(QUIET if colour == INK else colour for colour in CYCLE)
_MOST_CHARACTERS = 60
_FORMATS = {"fraction": ".3f", "count": ",.3~s", "bytes": ".3~s", "seconds": ",.1f"}
_UNITS = {"bytes": "bytes", "seconds": "seconds"}


@dataclass(frozen=True)
class Chart:
    """One interactive picture.

    Attributes:
        title: What it shows.
        note: How to read it.
        spec: Its Vega-Lite specification, with its data.
    """

    title: str
    note: str
    spec: dict[str, Any]


class Rows:
    """The data of one picture, kept apart from it: checking a thousand rows against the schema takes seconds."""

    def __init__(self) -> None:
        self._datasets: dict[str, list[Row]] = {}

    def add(self, rows: Iterable[Row]) -> alt.NamedData:
        """Keep rows, and return what a layer is drawn of."""
        name = f"rows{len(self._datasets)}"
        self._datasets[name] = [{key: _finite(value) for key, value in row.items()} for row in rows]
        return alt.NamedData(name=name)

    def chart(self, title: str, note: str, drawn: alt.TopLevelMixin) -> Chart:
        """Check a picture against Vega-Lite's schema, and keep its specification with its data."""
        spec: dict[str, Any] = drawn.to_dict()
        # The page brings its own colours, for light and dark, and needs no address.
        spec.pop("config", None)
        spec.pop("$schema", None)
        return Chart(title, note, spec | {"datasets": self._datasets})


def _finite(value: str | int | float | bool | None) -> str | int | float | bool | None:
    """Leave out what is no number: JSON has no way to write it."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def distinct(names: Sequence[str]) -> list[str]:
    """Shorten names for an axis; those that come out alike are numbered."""
    seen: dict[str, int] = {}
    found = []
    for name in names:
        text = short(name, _MOST_CHARACTERS)
        seen[text] = seen.get(text, 0) + 1
        found.append(text if seen[text] == 1 else f"{text} ({seen[text]})")
    return found


def colour(names: Sequence[str], title: str | None = None, legend: bool = True) -> alt.Color:
    """Give each name a colour of its own; more names than colours take them in turn."""
    colours = [COLOURS[number % len(COLOURS)] for number in range(len(names))]
    scale = alt.Scale(domain=list(names), range=colours)
    shown = alt.Legend(title=title, orient="top", columns=legend_columns(names))
    return alt.Color("series:N", scale=scale, legend=shown if legend else None)


def legend_columns(names: Sequence[str]) -> int:
    """Return how many names of a legend fit beside each other on a phone."""
    longest = max(map(len, names), default=0)
    return 4 if longest <= 3 else 2 if longest <= 10 else 1


def rows_axis(field: str, names: Sequence[str], title: str | None = None) -> alt.Y:
    """Put names below each other, in their order."""
    axis = alt.Axis(title=title, grid=False)
    return alt.Y(f"{field}:N", scale=alt.Scale(domain=list(names)), axis=axis)


def number_format(metric: str) -> str:
    """Return the format of a column's numbers in Vega's terms."""
    about = METRICS.get(metric)
    if metric.endswith("_seconds"):
        return _FORMATS["seconds"]
    return _FORMATS["fraction" if about is None else about.unit]


def axis_title(words: str, metric: str) -> str:
    """Name an axis, with the unit its numbers are in."""
    about = METRICS.get(metric)
    unit = "seconds" if metric.endswith("_seconds") else _UNITS.get(about.unit if about else "")
    return f"{words} ({unit})" if unit else words


def tooltips(fields: Mapping[str, str], numbers: str = ".3f") -> list[alt.Tooltip]:
    """Name what is shown beside the pointer.

    Args:
        fields: Title by field and type, such as `mean:Q`.
        numbers: Format of numbers.
    """
    return [
        alt.Tooltip(field, title=title, format=numbers)
        if field.endswith(":Q")
        else alt.Tooltip(field, title=title)
        for field, title in fields.items()
    ]
