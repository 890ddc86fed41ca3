"""The table in Markdown, as GitHub renders it."""

import re
from collections.abc import Iterator, Sequence

from ablate.config.text import printable
from ablate.report.tables.grid import DIFFERENCE, Grid

_SPECIAL = re.compile(r"([\\`*_\[\]<>|~&$])")


def markdown(grid: Grid, answer: Sequence[str] = ()) -> str:
    """Return a table with its question and its verdict in words."""
    return "\n".join(_lines(grid, answer)) + "\n"


def escape(text: str) -> str:
    """Escape whatever Markdown or HTML could read as more than text inside a line."""
    return _SPECIAL.sub(r"\\\1", printable(text))


def _lines(grid: Grid, answer: Sequence[str]) -> Iterator[str]:
    if grid.name is not None:
        yield f"**{escape(grid.name)}**: {escape(grid.question or '')}".rstrip(": ")
        yield ""
    has_sections = any(heading for heading, _ in grid.sections)
    header = [*(["metric"] if has_sections else []), *grid.header]
    n_left = grid.n_left + has_sections
    yield _line([escape(name) for name in header])
    yield _line(["---" if p < n_left or n == "verdict" else "---:" for p, n in enumerate(header)])
    for heading, rows in grid.sections:
        for row in rows:
            cells = [escape(cell) for cell in row.cells]
            if row.holds:
                at = grid.header.index(DIFFERENCE)
                cells[at] = f"**{cells[at]}**"
            yield _line([*([escape(heading)] if has_sections else []), *cells])
    yield ""
    yield escape(grid.legend)
    if answer:
        yield ""
    for line in answer:
        yield f"- {escape(line)}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
