"""What every picture has in common: one column wide, readable in print and on a phone, colour-blind safe."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from ablate.config.text import printable
from ablate.results.files import replacing

# Okabe and Ito's palette, which is told apart with every common colour vision and in grey print.
BLUE, ORANGE, GREEN, VERMILION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
PURPLE, SKY, INK, QUIET = "#CC79A7", "#56B4E9", "#222222", "#7A7A7A"
CYCLE = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY, INK)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
COLUMN_INCHES = 3.3
_DPI = 300
_MOST_CHARACTERS = 24
# Names are text, whatever they contain: `$` starts no formula. Fonts are embedded as outlines that stay text.
_STYLE: dict[Any, object] = {
    "text.parse_math": False,
    "text.usetex": False,
    "axes.formatter.use_mathtext": False,
    "axes.unicode_minus": True,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "axes.edgecolor": QUIET,
    "axes.linewidth": 0.6,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E3E3E3",
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.2,
    "legend.frameon": False,
    "pdf.fonttype": 42,
    "figure.dpi": 100,
    "savefig.facecolor": "white",
}


@contextmanager
def style() -> Iterator[None]:
    """Draw and save in this style for the length of the block.

    A name in a script that the font lacks is drawn as boxes; that warns nobody.
    """
    with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def column_figure(height_inches: float = 2.3) -> tuple[Figure, Axes]:
    """Return a figure of a column's width with one set of axes."""
    figure = Figure(figsize=(COLUMN_INCHES, height_inches), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def rings(axes: Axes, x: Sequence[float], y: Sequence[float], colour: str) -> None:
    """Draw single seeds."""
    axes.scatter(x, y, s=7, facecolors="none", edgecolors=colour, linewidths=0.6, zorder=3)


def dots(
    axes: Axes,
    x: Sequence[float],
    y: Sequence[float],
    colours: Sequence[str],
    hollow: Sequence[bool],
    marker: str = "o",
    label: str | None = None,
) -> None:
    """Draw means, those of baselines hollow; all at once, since one by one takes a second for a hundred."""
    faces = ["white" if is_hollow else c for c, is_hollow in zip(colours, hollow, strict=True)]
    axes.scatter(
        x,
        y,
        s=25,
        marker=marker,
        facecolors=faces,
        edgecolors=list(colours),
        linewidths=1.2,
        zorder=4,
    )
    if label is not None:
        axes.scatter([], [], s=25, marker=marker, color=colours[0], label=label)


def baseline(axes: Axes, which: str, place: float, colour: str = QUIET) -> None:
    """Draw the dashed line of a baseline: at a place along `x` or along `y`."""
    draw = axes.axvline if which == "x" else axes.axhline
    draw(place, color=colour, linewidth=0.8, linestyle=(0, (4, 3)))


def footnote(figure: Figure, *lines: str) -> None:
    """Say below a picture what its marks are."""
    figure.supxlabel("\n".join(lines), fontsize=6, color=QUIET, x=0.01, ha="left")


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write a figure as PNG and PDF; the same picture gives the same bytes.

    Args:
        figure: What was drawn.
        folder: Where to; it exists.
        name: The files' name without a suffix.

    Returns:
        The two files.
    """
    files = [folder / f"{name}.png", folder / f"{name}.pdf"]
    # Settled once: each file would do it again, which takes longer than all the drawing.
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    with replacing(files[0]) as file:
        figure.savefig(file, format="png", dpi=_DPI, metadata={"Software": None})
    with replacing(files[1]) as file:
        nothing = {"CreationDate": None, "Producer": None, "Creator": None}
        figure.savefig(file, format="pdf", metadata=nothing)
    return files


def short(text: object, most: int = _MOST_CHARACTERS) -> str:
    """Return a name as it fits into a picture: one visible line, cut in the middle where it is long."""
    shown = printable(str(text))
    if len(shown) <= most:
        return shown
    head = (most - 1) * 2 // 3
    return f"{shown[:head]}…{shown[head + 1 - most :]}"


def name_ticks(axes: Axes, which: str, places: Sequence[float], names: Sequence[str]) -> None:
    """Put names at places of an axis, and nothing between them."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(FixedLocator(list(places)))
    axis.set_major_formatter(FixedFormatter(list(names)))
    axis.set_minor_locator(NullLocator())


def number_ticks(
    axes: Axes, which: str, shown: Callable[[float, float], str], most: int = 6
) -> None:
    """Put round numbers at an axis.

    Args:
        axes: The axes; what is drawn in them is there by now.
        which: `x` or `y`.
        shown: Writes a number, given the step between ticks.
        most: The most ticks.
    """
    axis, (low, high) = (
        (axes.xaxis, axes.get_xlim()) if which == "x" else (axes.yaxis, axes.get_ylim())
    )
    locator = MaxNLocator(most, steps=[1, 2, 5, 10])
    ticks = locator.tick_values(min(low, high), max(low, high))
    step = float(ticks[1] - ticks[0]) if len(ticks) > 1 else 0.0
    axis.set_major_locator(locator)
    axis.set_major_formatter(FuncFormatter(lambda value, _: shown(value, step)))
    # The room that labels take would change the limits' ticks once more.
    (axes.set_xlim if which == "x" else axes.set_ylim)(low, high)
