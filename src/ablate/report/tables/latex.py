"""The table in LaTeX with booktabs; any text is escaped so that it compiles."""

import re
from collections.abc import Iterator

from ablate.config.text import printable
from ablate.report.tables.grid import DIFFERENCE, Grid

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "_": r"\_",
    "%": r"\%",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}",
    "'": r"\textquotesingle{}",
    "[": r"{[}",
    "]": r"{]}",
    "±": r"$\pm$",
}
# Letters that every LaTeX has in the encoding T1.
_LETTERS = frozenset("ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖØÙÚÛÜÝÞßàáâãäåæçèéêëìíîïðñòóôõöøùúûüýþÿ")
# Two of them would become one longer dash.
_DASHES = re.compile("-(?=-)")
_NUMBERS = re.compile(r"(?<![\w-])-(?=\d)")


def latex(grid: Grid) -> str:
    """Return a table for a paper: bold stands where a difference holds, and nowhere else."""
    return "\n".join(_lines(grid)) + "\n"


def escape(text: str) -> str:
    r"""Escape a text: what LaTeX reads as a command, and what its fonts do not have, as \u4e2d."""
    escaped = "".join(_escaped(character) for character in printable(text))
    return _DASHES.sub("-{}", escaped)


def _escaped(character: str) -> str:
    special = _SPECIAL.get(character)
    if special is not None:
        return special
    if character.isascii() or character in _LETTERS:
        return character
    code = character.encode("ascii", "backslashreplace").decode()
    return code.replace("\\", _SPECIAL["\\"])


def _number(text: str) -> str:
    """Escape a cell of numbers; a minus is as long as a plus."""
    parts = _NUMBERS.split(text)
    return "$-$".join(escape(part) for part in parts)


def _lines(grid: Grid) -> Iterator[str]:
    n_columns = len(grid.header)
    alignment = "".join(
        "l" if position < grid.n_left or name == "verdict" else "r"
        for position, name in enumerate(grid.header)
    )
    yield r"% \usepackage{booktabs}, \usepackage[T1]{fontenc} and \usepackage{textcomp} in the preamble"
    yield r"\begin{table}"
    yield r"\centering"
    question = f"{escape(grid.question)} " if grid.question else ""
    yield rf"\caption{{{question}{escape(grid.legend)}}}"
    if grid.name is not None:
        yield rf"\label{{tab:{re.sub(r'[^A-Za-z0-9]+', '-', grid.name)}}}"
    yield r"\medskip"
    yield rf"\begin{{tabular}}{{{alignment}}}"
    yield r"\toprule"
    yield _line([escape(name) for name in grid.header])
    for heading, rows in grid.sections:
        yield r"\midrule"
        if heading:
            yield rf"\multicolumn{{{n_columns}}}{{l}}{{\emph{{{escape(heading)}}}}} \\"
        for row in rows:
            cells = [
                escape(cell) if position < grid.n_left else _number(cell)
                for position, cell in enumerate(row.cells)
            ]
            if row.holds:
                at = grid.header.index(DIFFERENCE)
                cells[at] = rf"\textbf{{{cells[at]}}}"
            yield _line(cells)
    yield r"\bottomrule"
    yield r"\end{tabular}"
    yield r"\end{table}"


def _line(cells: list[str]) -> str:
    return " & ".join(cells) + r" \\"
