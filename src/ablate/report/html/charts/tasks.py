"""Differences by task, and accuracy after each session."""

from collections.abc import Sequence

import altair as alt

from ablate.report.figures.forest import limits
from ablate.report.figures.sessions import SessionCurves
from ablate.report.figures.style import QUIET
from ablate.report.figures.task_differences import TaskDifference
from ablate.report.html.charts.base import (
    Chart,
    Row,
    Rows,
    colour,
    distinct,
    rows_axis,
    tooltips,
)

_ROW_PX = 11
_MOST_CURVES = 8


def forest_chart(shown: Sequence[TaskDifference], n_left_out: int, against: str) -> Chart | None:
    """Draw the difference of every configuration in every task, with its interval.

    Args:
        shown: What `task_differences` returned.
        n_left_out: Configurations that are not among them.
        against: What was compared with, in words.
    """
    if not shown:
        return None
    rows_of = Rows()
    kept = list(dict.fromkeys(one.name for one in shown))
    series = dict(zip(kept, distinct(kept), strict=True))
    tasks = list(dict.fromkeys((one.task, one.metric) for one in shown))
    several = len({metric for _, metric in tasks}) > 1
    texts = [f"{task}, {metric.replace('_', ' ')}" if several else task for task, metric in tasks]
    labels = dict(zip(tasks, distinct(texts), strict=True))
    rows: list[Row] = [
        {
            "task": labels[one.task, one.metric],
            "series": series[one.name],
            "place": kept.index(one.name),
            "difference": one.difference,
            "low": one.low,
            "high": one.high,
            "items": one.n_items,
        }
        for one in shown
    ]
    offset = alt.YOffset("place:O")
    y = rows_axis("task", list(labels.values()))
    told = tooltips(
        {
            "task:N": "task",
            "series:N": "configuration",
            "difference:Q": "difference",
            "low:Q": "from",
            "high:Q": "to",
        },
        "+.3f",
    )
    told.append(alt.Tooltip("items:Q", title="items", format="d"))
    points = alt.Chart(rows_of.add(rows)).encode(
        y, offset, colour([series[name] for name in kept]), tooltip=told
    )
    axis = alt.Axis(title=f"difference to {against}", format="+.2f", tickCount=5)
    zero = (
        alt.Chart(rows_of.add([{"zero": 0}]))
        .mark_rule(strokeDash=[4, 3], color=QUIET)
        .encode(alt.X("zero:Q"))
    )
    left, right, is_cut = limits(shown)
    scale = alt.Scale(domain=[left, right], nice=False)
    layers = [zero]
    if any(one.low is not None for one in shown):
        bars = points.mark_rule(strokeWidth=2, clip=True)
        layers.append(bars.encode(alt.X("low:Q", scale=scale), alt.X2("high:Q")))
    dots = points.mark_point(filled=True, size=45, opacity=1)
    layers.append(dots.encode(alt.X("difference:Q", scale=scale, axis=axis)))
    height = max(80, len(tasks) * max(22, _ROW_PX * len(kept)))
    drawn = alt.layer(*layers).properties(width="container", height=height)
    cut = " Bars that reach the edge go on beyond it." if is_cut else ""
    left_out = f" {n_left_out} more configurations are not shown." if n_left_out else ""
    note = f"95 % intervals, not corrected for the number of tasks.{cut}{left_out}"
    return rows_of.chart("differences by task", note, drawn)


def sessions_chart(curves: Sequence[SessionCurves], axis_name: str) -> list[Chart]:
    """Draw accuracy after each session, one picture for each configuration."""
    n_left_out = max(0, len(curves) - _MOST_CURVES)
    left_out = f" {n_left_out} more configurations are not shown." if n_left_out else ""
    note = f"Means over seeds.{left_out}"
    return [_session(one, axis_name, note) for one in curves[:_MOST_CURVES]]


def _session(curve: SessionCurves, axis_name: str, note: str) -> Chart:
    rows_of = Rows()
    n = len(curve.accuracy)
    names = [f"classes of session {session}" for session in range(1, n + 1)]
    lines = [*zip(names, curve.accuracy, strict=True), ("all classes", curve.overall)]
    rows: list[Row] = [
        {"series": name, "after": after, "accuracy": float(value)}
        for name, values in lines
        for after, value in enumerate(values)
        if value == value
    ]
    told = tooltips({"series:N": "", "accuracy:Q": "accuracy"})
    drawn = (
        alt.Chart(rows_of.add(rows))
        .mark_line(point=True)
        .encode(
            alt.X("after:O", axis=alt.Axis(title="sessions trained", labelAngle=0)),
            alt.Y("accuracy:Q", scale=alt.Scale(domain=[0, 1])),
            colour([name for name, _ in lines]),
            tooltip=told,
        )
        .properties(width="container", height=220)
    )
    name = distinct([f"{axis_name} {curve.name}".strip()])[0]
    return rows_of.chart(f"accuracy after each session: {name}", note, drawn)
