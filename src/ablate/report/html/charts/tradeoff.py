"""Two quantities against each other, with their Pareto front."""

import math
from collections.abc import Sequence

import altair as alt

from ablate.report.figures.style import BLUE, QUIET
from ablate.report.figures.tradeoff import Mark, Tradeoff
from ablate.report.figures.words import words_of
from ablate.report.html.charts.base import (
    Chart,
    Row,
    Rows,
    axis_title,
    distinct,
    number_format,
)

_WIDE_RATIO = 10
_BEST, _OTHERS = "no other is better in both", "another is"


def tradeoff_chart(marks: Sequence[Mark], what: Tradeoff) -> Chart | None:
    """Draw what `figures.tradeoff.draw_tradeoff` draws, to be pointed at and moved."""
    if len(marks) < 2 or len({mark.x for mark in marks}) < 2 or len({mark.y for mark in marks}) < 2:
        return None
    rows_of = Rows()
    names = distinct([mark.name for mark in marks])
    lowest, highest = (f(mark.x for mark in marks) for f in (min, max))
    wide = what.x_is_cost and lowest > 0 and highest / lowest >= _WIDE_RATIO
    middle = math.sqrt(lowest * highest) if wide else (lowest + highest) / 2
    means: list[Row] = [
        {
            "label": name,
            "isLeft": mark.x <= middle,
            "x": mark.x,
            "y": mark.y,
            "front": _BEST if mark.on_front else _OTHERS,
            "kind": "baseline" if mark.configuration.is_baseline else "value",
        }
        for mark, name in zip(marks, names, strict=True)
    ]
    seeds: list[Row] = [
        {"label": name, "x": x, "y": y}
        for mark, name in zip(marks, names, strict=True)
        for x, y in mark.seeds
    ]
    log, linear = alt.Scale(type="log", padding=18), alt.Scale(zero=False, padding=18)
    x_axis = alt.Axis(
        title=axis_title(words_of(what.x), what.x), format=number_format(what.x), tickCount=5
    )
    y_axis = alt.Axis(
        title=axis_title(words_of(what.y), what.y), format=number_format(what.y), tickCount=6
    )
    x = alt.X("x:Q", scale=log if wide else linear, axis=x_axis)
    y = alt.Y("y:Q", scale=alt.Scale(zero=False, padding=14), axis=y_axis)
    told = [
        alt.Tooltip("label:N", title="configuration"),
        alt.Tooltip("x:Q", title=words_of(what.x), format=number_format(what.x)),
        alt.Tooltip("y:Q", title=words_of(what.y), format=number_format(what.y)),
    ]
    front: list[Row] = [
        {"x": x, "y": y} for x, y in sorted((m.x, m.y) for m in marks if m.on_front)
    ]
    stand = alt.Scale(domain=[_BEST, _OTHERS], range=[BLUE, QUIET])
    legend = alt.Legend(title=None, orient="top")
    points = alt.Chart(rows_of.add(means)).encode(x, y)
    drawn = alt.layer(
        alt.Chart(rows_of.add(front)).mark_line(color=BLUE, opacity=0.5).encode(x, y),
        alt.Chart(rows_of.add(seeds))
        .mark_point(size=20, strokeWidth=1, color=QUIET)
        .encode(x, y, tooltip=told),
        points.mark_point(filled=True, size=80, opacity=1).encode(
            alt.Color("front:N", scale=stand, legend=legend),
            alt.Shape(
                "kind:N",
                scale=alt.Scale(domain=["value", "baseline"], range=["circle", "diamond"]),
                legend=None,
            ),
            tooltip=told,
        ),
        *_names(points),
    ).properties(width="container", height=260)
    title = f"{words_of(what.y)} against {words_of(what.x)}"
    has_baseline = any(mark.configuration.is_baseline for mark in marks)
    note = "Rings are single seeds" + ("; the diamond is the baseline." if has_baseline else ".")
    return rows_of.chart(title, note, drawn)


def _names(points: alt.Chart) -> list[alt.Chart]:
    """Write names beside their points, towards the middle, so that none is cut off at the edge."""
    left = points.mark_text(dx=8, align="left", limit=110).transform_filter("datum.isLeft")
    right = points.mark_text(dx=-8, align="right", limit=110).transform_filter("!datum.isLeft")
    return [part.encode(alt.Text("label:N")) for part in (left, right)]
