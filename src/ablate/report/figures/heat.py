"""A metric over two varied axes at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ablate.report.figures.scale import name_of
from ablate.report.figures.series import key_words
from ablate.report.figures.style import INK, column_figure, footnote, name_ticks, short
from ablate.report.figures.words import show, words_of
from ablate.report.verdict import AblationReport, Configuration
from ablate.results.record import Cell

_MOST_LEVELS = 12
_ROW_INCHES = 0.32
_EMPTY = "#EDEDED"


@dataclass(frozen=True)
class Grid:
    """Configurations told apart by two axes.

    Attributes:
        rows: Key of the vertical axis.
        columns: Key of the horizontal axis.
        row_levels: Its values, in order.
        column_levels: The same of the horizontal axis.
        cells: The configuration at a row's and a column's value, by their names.
    """

    rows: str
    columns: str
    row_levels: tuple[str, ...]
    column_levels: tuple[str, ...]
    cells: dict[tuple[str, str], Configuration]


def grid_of(ablation: AblationReport) -> Grid | None:
    """Find the two axes that tell all configurations apart, where one alone does not.

    Of several such pairs (a second key may follow the first), the one with the fewest empty cells.

    Returns:
        None where there is no such pair, or an axis has too many values for a picture.
    """
    keys = [*([] if ablation.key is None else [ablation.key]), *ablation.settings]
    grids = [grid for pair in combinations(keys, 2) if (grid := _grid(ablation, *pair))]
    return min(grids, key=lambda g: len(g.row_levels) * len(g.column_levels), default=None)


def _grid(ablation: AblationReport, one: str, other: str) -> Grid | None:
    def level(configuration: Configuration, key: str) -> Cell:
        is_value = key == ablation.key
        return configuration.value if is_value else configuration.settings.get(key)

    found = ablation.configurations
    levels = [_ordered([level(c, key) for c in found]) for key in (one, other)]
    if min(map(len, levels)) < 2 or max(map(len, levels)) > _MOST_LEVELS:
        return None
    # The axis with fewer values has the longer names as a rule: groups such as methods.
    rows, columns = (one, other) if len(levels[0]) <= len(levels[1]) else (other, one)
    row_levels, column_levels = sorted(levels, key=len)
    cells = {(name_of(level(c, rows)), name_of(level(c, columns))): c for c in found}
    if len(cells) < len(found) or len(found) <= len(column_levels):
        return None
    return Grid(rows, columns, tuple(row_levels), tuple(column_levels), cells)


def _ordered(values: Sequence[Cell]) -> list[str]:
    """Return the names of different values: numbers ascending, anything else as it comes."""
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    ordered = sorted(values, key=_number) if len(numbers) == len(values) else values
    return list(dict.fromkeys(name_of(value) for value in ordered))


def _number(value: Cell) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def draw_heat(ablation: AblationReport, metric: str, grid: Grid) -> Figure | None:
    """Draw the mean of a metric in every cell of a grid.

    Returns:
        None where no two cells differ.
    """
    mean_of = {one.configuration.run_ids: one.mean for one in ablation.of(metric)}
    means = np.full((len(grid.row_levels), len(grid.column_levels)), np.nan)
    for row, one in enumerate(grid.row_levels):
        for column, other in enumerate(grid.column_levels):
            configuration = grid.cells.get((one, other))
            mean = None if configuration is None else mean_of.get(configuration.run_ids)
            means[row, column] = np.nan if mean is None else mean
    if len(np.unique(means[np.isfinite(means)])) < 2:
        return None
    figure, axes = column_figure(0.95 + _ROW_INCHES * len(grid.row_levels))
    low, high = float(np.nanmin(means)), float(np.nanmax(means))
    axes.set_facecolor(_EMPTY)
    axes.pcolormesh(means, cmap="cividis", vmin=low, vmax=high, edgecolors="white", linewidth=0.8)
    digits = 3 if means.shape[1] <= 6 else 2
    for (row, column), mean in np.ndenumerate(means):
        if np.isfinite(mean):
            dark = mean < (low + high) / 2
            axes.text(
                column + 0.5,
                row + 0.5,
                show(metric, float(mean), digits),
                ha="center",
                va="center",
                fontsize=7 if means.shape[1] <= 6 else 5.5,
                color="white" if dark else INK,
            )
    _name(axes, grid)
    axes.set_title(words_of(metric), loc="left")
    n_empty = int(np.isnan(means).sum())
    footnote(figure, "means over seeds" + (f"; grey: no run ({n_empty})" if n_empty else ""))
    return figure


def _name(axes: Axes, grid: Grid) -> None:
    for which, levels in (("x", grid.column_levels), ("y", grid.row_levels)):
        places = [place + 0.5 for place in range(len(levels))]
        name_ticks(axes, which, places, [short(name, 14) for name in levels])
    axes.invert_yaxis()
    axes.set_xlabel(short(key_words(grid.columns), 40))
    axes.set_ylabel(short(key_words(grid.rows), 24))
    axes.grid(visible=False)
    axes.tick_params(length=0)
    axes.spines[["left", "bottom"]].set_visible(False)
