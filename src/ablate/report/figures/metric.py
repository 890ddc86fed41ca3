"""A metric against the ablation's values: means, every seed, the interval of the difference, the baseline."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from ablate.report.figures.scale import ValueScale, scale_of
from ablate.report.figures.scale import name_of as value_name
from ablate.report.figures.series import (
    Series,
    differ,
    key_words,
    measured,
    names_of,
    series_of,
)
from ablate.report.figures.style import (
    CYCLE,
    MARKERS,
    QUIET,
    baseline,
    column_figure,
    dots,
    footnote,
    name_ticks,
    rings,
    short,
)
from ablate.report.figures.ticks import metric_ticks
from ablate.report.figures.words import words_of
from ablate.report.verdict import AblationReport, Comparison

_MOST_ROWS = 40
_ROW_INCHES = 0.2


def draw_metric(ablation: AblationReport, metric: str) -> Figure | None:
    """Draw a metric against the ablation's values.

    Numbers lie along the horizontal axis, logarithmic where they are powers of two or span a wide
    range. Anything else has a row each, so that names stay readable.

    Args:
        ablation: What was compared.
        metric: Column of results.csv.

    Returns:
        None where there is nothing to compare.
    """
    series = series_of(ablation, metric)
    if not differ(series):
        return None
    scale = scale_of(ablation.values) if ablation.key is not None else None
    if scale is not None and scale.is_number and len(series) <= len(CYCLE):
        return _along_numbers(ablation, metric, series, scale)
    return _in_rows(ablation, metric, series)


def _along_numbers(
    ablation: AblationReport, metric: str, series: Sequence[Series], scale: ValueScale
) -> Figure:
    figure, axes = column_figure()
    step = scale.step()
    for number, one in enumerate(series):
        colour, marker = CYCLE[number], MARKERS[number]
        shift = scale.aside(number, len(series))
        places = [scale.place(comparison.value) + shift for comparison in one.comparisons]
        means = measured([comparison.mean for comparison in one.comparisons])
        if one.baseline is not None and one.baseline.mean is not None:
            baseline(axes, "y", one.baseline.mean, colour if one.name else QUIET)
        # Comparisons begin with the baseline, wherever it stands on the axis.
        line = sorted(zip(places, means, strict=True))
        axes.plot(*zip(*line, strict=True), color=colour, alpha=0.45, linewidth=1, zorder=2)
        beside = 0.13 * step / max(1, len(series) / 2)
        x, seeds = _seeds(one.comparisons, [place - beside for place in places])
        rings(axes, x, seeds, colour)
        x, low, high = _bars(one, places)
        axes.vlines(x, low, high, color=colour, linewidth=1.4, zorder=3)
        hollow = [comparison.is_baseline for comparison in one.comparisons]
        dots(axes, places, means, [colour] * len(means), hollow, marker, short(one.name) or None)
    named = scale.named()
    name_ticks(
        axes, "x", [scale.place(value) for value in named], [value_name(value) for value in named]
    )
    axes.set_xlabel(short(key_words(ablation.key), 40))
    axes.set_ylabel(words_of(metric))
    metric_ticks(axes, "y", metric)
    axes.grid(visible=False, axis="x")
    if len(series) > 1:
        figure.legend(loc="outside upper left", ncols=2, handletextpad=0.3, columnspacing=1)
    _explain(figure, series)
    return figure


def _in_rows(ablation: AblationReport, metric: str, series: Sequence[Series]) -> Figure:
    rows = [(one, comparison) for one in series for comparison in one.comparisons]
    n_left_out = max(0, len(rows) - _MOST_ROWS)
    rows = rows[:_MOST_ROWS]
    figure, axes = column_figure(0.75 + _ROW_INCHES * len(rows) + 0.15 * bool(n_left_out))
    baselines = {one.baseline.mean for one in series if one.baseline is not None}
    if len(baselines) == 1 and None not in baselines:
        baseline(axes, "x", min(measured(list(baselines))))
    comparisons = [comparison for _, comparison in rows]
    places, seeds = _seeds(comparisons, [row - 0.22 for row in range(len(rows))])
    rings(axes, seeds, places, CYCLE[0])
    for row, (one, comparison) in enumerate(rows):
        interval = one.interval(comparison)
        if interval is not None:
            axes.hlines(row, *interval, color=CYCLE[0], linewidth=1.4, zorder=3)
    means = measured([comparison.mean for comparison in comparisons])
    hollow = [comparison.is_baseline for comparison in comparisons]
    dots(axes, means, range(len(rows)), [CYCLE[0]] * len(rows), hollow)
    names = names_of(ablation)
    labels = [short(names[one.configuration.run_ids], 30) for _, one in rows]
    name_ticks(axes, "y", range(len(rows)), labels)
    axes.set_ylim(len(rows) - 0.5, -0.6)
    axes.set_xlabel(words_of(metric))
    metric_ticks(axes, "x", metric)
    axes.grid(visible=False, axis="y")
    if n_left_out:
        axes.set_title(
            f"the first {len(rows)} of {len(rows) + n_left_out} configurations", loc="left"
        )
    _explain(figure, series)
    return figure


def _seeds(
    comparisons: Sequence[Comparison], places: Sequence[float]
) -> tuple[list[float], list[float]]:
    """Return every seed's number, and the place of its configuration."""
    pairs = [
        (place, number)
        for place, one in zip(places, comparisons, strict=True)
        for number in measured(one.per_seed)
    ]
    return [place for place, _ in pairs], [number for _, number in pairs]


def _bars(series: Series, places: Sequence[float]) -> tuple[list[float], list[float], list[float]]:
    """Return the places and ends of the intervals."""
    found = [
        (place, *interval)
        for place, one in zip(places, series.comparisons, strict=True)
        if (interval := series.interval(one)) is not None
    ]
    return [bar[0] for bar in found], [bar[1] for bar in found], [bar[2] for bar in found]


def _explain(figure: Figure, series: Sequence[Series]) -> None:
    """Say below the picture what its marks are."""
    words = ["small rings: single seeds"]
    if any(one.baseline is not None for one in series):
        words.append("dashed, hollow: the baseline")
    lines = ["; ".join(words)]
    if any(one.interval(c) is not None for one in series for c in one.comparisons):
        lines.append("bars: 95 % interval of the difference to the baseline")
    footnote(figure, *lines)
