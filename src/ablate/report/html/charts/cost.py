"""Where the seconds of a run went."""

from collections.abc import Sequence

import altair as alt
import pandas as pd

from ablate.report.figures.style import CYCLE
from ablate.report.html.charts.base import (
    Chart,
    Row,
    Rows,
    distinct,
    legend_columns,
    rows_axis,
    tooltips,
)

STAGES = ("load", "importance", "train", "eval")
_MOST_ROWS = 40
_ROW_PX = 24


def cost_chart(costs: pd.DataFrame) -> Chart | None:
    """Draw the mean seconds of each stage, one bar for each configuration.

    Args:
        costs: One row for each configuration: `name`, and seconds in a column for each of `STAGES`.
    """
    shown = costs.head(_MOST_ROWS)
    rows_of = Rows()
    names = distinct([str(name) for name in shown["name"]])
    rows: list[Row] = [
        {"label": name, "stage": stage, "order": order, "seconds": float(seconds)}
        for name, (_, cost) in zip(names, shown.iterrows(), strict=True)
        for order, stage in enumerate(STAGES)
        if (seconds := cost[stage]) == seconds
    ]
    if not rows:
        return None
    scale = alt.Scale(domain=list(STAGES), range=list(_colours(STAGES)))
    drawn = (
        alt.Chart(rows_of.add(rows))
        .mark_bar()
        .encode(
            rows_axis("label", names),
            alt.X("seconds:Q", axis=alt.Axis(title="seconds a run", tickCount=5)),
            alt.Color(
                "stage:N",
                scale=scale,
                legend=alt.Legend(title=None, orient="top", columns=legend_columns(STAGES)),
            ),
            alt.Order("order:Q"),
            tooltip=tooltips(
                {"label:N": "configuration", "stage:N": "stage", "seconds:Q": "seconds"}, ".1f"
            ),
        )
        .properties(width="container", height=max(60, _ROW_PX * len(names)))
    )
    left_out = (
        f" The first {len(shown)} of {len(costs)} configurations."
        if len(shown) < len(costs)
        else ""
    )
    return rows_of.chart("cost by stage", f"Means over seeds.{left_out}", drawn)


def _colours(stages: Sequence[str]) -> Sequence[str]:
    return CYCLE[: len(stages)]
