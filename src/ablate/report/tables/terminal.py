"""The table on a terminal, by rich; in a file or a pipe the same without colours and never cut."""

import io
import sys
from collections.abc import Iterator

from rich import box
from rich.console import Console, Group, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from ablate.config.text import printable
from ablate.report.tables.grid import Grid, grid_of
from ablate.report.verdict import AblationReport, Report, Verdict

_STYLES: dict[Verdict, str] = {
    "better": "bold green",
    "worse": "bold red",
    "different": "bold",
    "undecided": "yellow",
    "untested": "dim",
}
_ENDLESS = 10_000


def console() -> Console:
    """Return standard output as rich knows it."""
    return Console(file=sys.stdout, highlight=False)


def display(renderable: RenderableType) -> None:
    """Print; in a file, and where a table is wider than the terminal, lines are whole and without colours."""
    terminal = console()
    if sys.stdout.isatty() and fits(renderable, terminal.width):
        terminal.print(renderable)
        return
    plain = Console(file=io.StringIO(), highlight=False, width=_ENDLESS, color_system=None)
    with plain.capture() as capture:
        plain.print(renderable)
    print("\n".join(line.rstrip() for line in capture.get().splitlines()))


def fits(renderable: RenderableType, width: int) -> bool:
    """Return whether no table has to be cut: half a number looks like another one."""
    if isinstance(renderable, Group):
        return all(fits(part, width) for part in renderable.renderables)
    wide = Console(file=io.StringIO(), width=_ENDLESS)
    is_table = isinstance(renderable, Table)
    return not is_table or Measurement.get(wide, wide.options, renderable).maximum <= width


def whole(renderable: RenderableType) -> RenderableType:
    """Return what can be redrawn in place: a line instead, where a table is wider than the terminal."""
    if fits(renderable, console().width):
        return renderable
    return Text("the table is wider than this terminal; `ablate report` prints it whole")


def rendered(report: Report, with_words: bool = True) -> Group:
    """Return the tables of all ablations of a report, and the verdicts in words."""
    parts: list[RenderableType] = []
    for ablation in report.ablations:
        parts += [Text(""), *_tables(ablation)]
        if with_words:
            parts += [Text(printable(line)) for line in ablation.answer]
            parts += [Text(printable(line), style="dim") for line in ablation.notes]
    return Group(*parts)


def table(grid: Grid) -> Table:
    """Return one table; its texts are shown as they are, markup and control characters too."""
    shown = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for position, name in enumerate(grid.header):
        shown.add_column(
            Text(printable(name)),
            justify="left" if position < grid.n_left or name == "verdict" else "right",
            no_wrap=position >= grid.n_left,
            overflow="fold",
        )
    for number, (heading, rows) in enumerate(grid.sections):
        if number:
            shown.add_section()
        if heading:
            shown.add_row(Text(heading, style="bold"))
        for row in rows:
            style = _STYLES.get(row.verdict, "") if row.verdict else ""
            *cells, last = (Text(cell) for cell in row.cells)
            shown.add_row(*cells, Text(last.plain, style=style))
    return shown


def _tables(ablation: AblationReport) -> Iterator[RenderableType]:
    grid = grid_of([(None, ablation)])
    if grid.name is not None:
        yield Text(printable(f"{grid.name}: {grid.question or ''}".rstrip(": ")), style="bold")
    yield table(grid)
    yield Text(grid.legend, style="dim")
