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
# Of the picture's width and height: names that are nearer to each other would lie on each other.
_NAME_WIDTH, _NAME_HEIGHT = 0.3, 0.055
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
    named = _named(marks, wide)
    means: list[Row] = [
        {
            "label": name,
            "isNamed": place in named,
            "isLeft": mark.x <= middle,
            "x": mark.x,
            "y": mark.y,
            "front": _BEST if mark.on_front else _OTHERS,
            "kind": "baseline" if mark.configuration.is_baseline else "value",
        }
        for place, (mark, name) in enumerate(zip(marks, names, strict=True))
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


def _named(marks: Sequence[Mark], wide: bool) -> list[int]:
    """Choose the points with names beside them, those of the front first; the others are to be pointed at."""
    everything = [(mark.x, mark.y) for mark in marks] + [s for mark in marks for s in mark.seeds]
    xs = [math.log(x) if wide else x for x, _ in everything if x > 0 or not wide]
    ys = [y for _, y in everything]
    width, height = max(xs) - min(xs), max(ys) - min(ys)

    def hides(one: Mark, other: Mark) -> bool:
        apart = math.log(one.x / other.x) if wide else one.x - other.x
        return abs(apart) < _NAME_WIDTH * width and abs(one.y - other.y) < _NAME_HEIGHT * height

    named: list[int] = []
    for place in sorted(range(len(marks)), key=lambda place: not marks[place].on_front):
        if not any(hides(marks[place], marks[other]) for other in named):
            named.append(place)
    return named


def _names(points: alt.Chart) -> list[alt.Chart]:
    """Write names beside their points, towards the middle, so that none is cut off at the edge."""
    left = points.mark_text(dx=8, align="left", limit=110).transform_filter(
        "datum.isNamed && datum.isLeft"
    )
    right = points.mark_text(dx=-8, align="right", limit=110).transform_filter(
        "datum.isNamed && !datum.isLeft"
    )
    return [part.encode(alt.Text("label:N")) for part in (left, right)]
