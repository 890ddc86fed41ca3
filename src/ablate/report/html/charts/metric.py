"""A metric against the ablation's values, and over two axes."""

from collections.abc import Sequence

import altair as alt

from ablate.report.figures.heat import Grid
from ablate.report.figures.scale import ValueScale, scale_of
from ablate.report.figures.series import Series, differ, key_words, names_of, series_of
from ablate.report.figures.style import BLUE, QUIET, short
from ablate.report.figures.words import words_of
from ablate.report.html.charts.base import (
    Chart,
    Row,
    Rows,
    axis_title,
    colour,
    distinct,
    number_format,
    rows_axis,
    tooltips,
)
from ablate.report.verdict import AblationReport

_ROW_PX = 26
_RINGS_PX = -8
_SEEDS = "Rings are single seeds."
_BASELINE = "The dashed line is the baseline."
_BARS = "Bars are the 95 % interval of the difference to it."


def metric_chart(ablation: AblationReport, metric: str) -> Chart | None:
    """Draw what `figures.metric.draw_metric` draws, to be pointed at."""
    series = series_of(ablation, metric)
    if not differ(series):
        return None
    scale = scale_of(ablation.values) if ablation.key is not None else None
    names = names_of(ablation)
    labels = dict(zip(names, distinct(list(names.values())), strict=True))
    rows_of = Rows()
    means, seeds, baselines = _rows(series, labels, scale)
    numeric = scale is not None and scale.is_number
    value = alt.Scale(zero=False, nice=True)
    title = axis_title(words_of(metric), metric)
    axis = alt.Axis(title=title, format=number_format(metric), tickCount=6)
    across, along = ("y", "x") if numeric else ("x", "y")
    number = alt.Y if numeric else alt.X
    place: alt.X | alt.Y
    if scale is not None and scale.is_number:
        place = _number_axis(scale, key_words(ablation.key))
    else:
        order = [labels[c.configuration.run_ids] for s in series for c in s.comparisons]
        place = rows_axis("label", order)
    mean = {along: place, across: number("mean:Q", scale=value, axis=axis)}
    # Where each has a row with its name, colours would say nothing more.
    colours = [one.name or metric for one in series] if numeric else [metric]
    series_colour = colour(colours, legend=len(colours) > 1)
    told = tooltips(
        {"label:N": "configuration", "mean:Q": "mean", "seeds:Q": "seeds", "words:N": "verdict"},
        number_format(metric),
    )
    told[2] = alt.Tooltip("seeds:Q", title="seeds", format="d")
    base = alt.Chart(rows_of.add(means)).encode(color=series_colour)
    layers: list[alt.Chart] = []
    note = _SEEDS
    if baselines:
        dashed = alt.Chart(rows_of.add(baselines)).mark_rule(strokeDash=[4, 3])
        shade = series_colour if len(colours) > 1 else alt.value(QUIET)
        layers.append(dashed.encode(**{across: "mean:Q"}, color=shade))
        note = f"{note} {_BASELINE}"
    if any(row["low"] is not None for row in means):
        bars = base.mark_rule(strokeWidth=2)
        layers.append(bars.encode(**{along: place, across: "low:Q", f"{across}2": "high:Q"}))
        note = f"{note} {_BARS}"
    if numeric:
        layers.append(base.mark_line(opacity=0.4).encode(**mean))
    layers.append(base.mark_point(filled=True, size=70, opacity=1).encode(**mean, tooltip=told))
    # Beside the bar, which would hide them.
    right, down = (_RINGS_PX, 0) if numeric else (0, _RINGS_PX)
    rings = alt.Chart(rows_of.add(seeds)).mark_point(
        size=22, strokeWidth=1, opacity=0.8, xOffset=right, yOffset=down
    )
    of_seed = tooltips({"label:N": "configuration", "seed:N": "seed", "number:Q": words_of(metric)})
    layers.append(
        rings.encode(**{along: place, across: "number:Q"}, color=series_colour, tooltip=of_seed)
    )
    height = 260 if numeric else max(60, _ROW_PX * len(means))
    drawn = alt.layer(*layers).properties(width="container", height=height)
    return rows_of.chart(words_of(metric), note, drawn)


def _rows(
    series: Sequence[Series], labels: dict[tuple[str, ...], str], scale: ValueScale | None
) -> tuple[list[Row], list[Row], list[Row]]:
    """Return the rows of means, of seeds and of baselines."""
    means: list[Row] = []
    seeds: list[Row] = []
    numeric = scale is not None and scale.is_number
    for position, one in enumerate(series):
        for comparison in one.comparisons:
            interval = one.interval(comparison)
            about: Row = {
                "label": labels[comparison.configuration.run_ids],
                "series": one.name if numeric and one.name else comparison.metric,
            }
            if scale is not None and scale.is_number:
                place = scale.place(comparison.value) + scale.aside(position, len(series))
                about["value"] = scale.number_at(place)
            means.append(
                {
                    **about,
                    "mean": comparison.mean,
                    "low": None if interval is None else interval[0],
                    "high": None if interval is None else interval[1],
                    "seeds": comparison.n_seeds,
                    "words": comparison.verdict,
                }
            )
            pairs = zip(comparison.configuration.seeds, comparison.per_seed, strict=True)
            seeds += [{**about, "seed": str(s), "number": n} for s, n in pairs if n is not None]
    baselines: list[Row] = [
        {"mean": one.baseline.mean, "series": one.name}
        for one in series
        if one.baseline is not None
    ]
    return means, seeds, baselines


def _number_axis(scale: ValueScale, title: str) -> alt.X:
    values = [float(value) for value in scale.named()]  # type: ignore[arg-type]  # numbers, says the scale
    # A `format` is rounded to the step of Vega's own ticks: 64 beside 8 reads 6e+1.
    text = "format(datum.value, '.12~g')"
    axis = alt.Axis(title=short(title, 40), values=values, labelExpr=text, grid=False)
    if scale.kind == "linear":
        return alt.X("value:Q", scale=alt.Scale(zero=False, padding=20), axis=axis)
    base = 2 if scale.kind == "log2" else 10
    return alt.X("value:Q", scale=alt.Scale(type="log", base=base, padding=20), axis=axis)


def grid_chart(ablation: AblationReport, metric: str, grid: Grid) -> Chart | None:
    """Draw a metric over two axes."""
    mean_of = {one.configuration.run_ids: one.mean for one in ablation.of(metric)}
    rows: list[Row] = [
        {"row": short(row), "column": short(column), "mean": mean}
        for (row, column), one in grid.cells.items()
        if (mean := mean_of.get(one.run_ids)) is not None
    ]
    means = {float(str(row["mean"])) for row in rows}
    if len(means) < 2:
        return None
    middle = (min(means) + max(means)) / 2
    rows = [row | {"dark": float(str(row["mean"])) > middle} for row in rows]
    shade_of_text = alt.condition("datum.dark", alt.value("white"), alt.value("#222222"))
    rows_of = Rows()
    numbers = number_format(metric)
    x = alt.X(
        "column:N",
        scale=alt.Scale(domain=[short(name) for name in grid.column_levels]),
        axis=alt.Axis(title=short(key_words(grid.columns)), labelAngle=0, labelLimit=90),
    )
    y = rows_axis("row", [short(name) for name in grid.row_levels], short(key_words(grid.rows)))
    words = words_of(metric)
    told = tooltips(
        {"row:N": short(grid.rows), "column:N": short(grid.columns), "mean:Q": words}, numbers
    )
    cells = alt.Chart(rows_of.add(rows)).encode(x, y, tooltip=told)
    shade = alt.Color("mean:Q", scale=alt.Scale(scheme="blues"), legend=None)
    drawn = alt.layer(
        cells.mark_rect(stroke=BLUE, strokeWidth=0.3).encode(shade),
        cells.mark_text().encode(alt.Text("mean:Q", format=numbers), color=shade_of_text),
    ).properties(width="container", height=max(80, 40 * len(grid.row_levels)))
    axes = " and ".join(short(key_words(key)) for key in (grid.rows, grid.columns))
    return rows_of.chart(f"{words} over {axes}", "Means over seeds.", drawn)
