r"""Compile the LaTeX table of a sweep, and one of hostile names, with pdflatex (Debian: texlive-latex-recommended).

python scripts/check_latex.py outputs/rank          writes table.pdf and hostile.pdf to the working folder
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from ablate.report.compare import report_of
from ablate.report.load import load
from ablate.report.tables.grid import Grid, Row
from ablate.report.tables.latex import latex
from ablate.report.tables.show import printed

_DOCUMENT = r"""\documentclass{article}
\usepackage[T1]{fontenc}
\usepackage{textcomp}
\usepackage{booktabs}
\usepackage[margin=2cm]{geometry}
\begin{document}
%s
\end{document}
"""
_NAMES = (
    r"\input{/etc/passwd}",
    r"}\end{document}",
    "50% of $x_1^2$ & more ~ # \\",
    "[1em] --- <b>\"bold\"</b> `code` | 'it' ??",
    "Größe, ça, 中文, 🙂, a\u202eb, new\nline",
)


def main() -> int:
    """Compile both; the exit code is 0 if pdflatex takes them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    if shutil.which("pdflatex") is None:
        print(
            "pdflatex is missing. Fix: apt-get install texlive-latex-recommended", file=sys.stderr
        )
        return 2
    tables = {
        "table": printed([(None, report_of(load([folder])))], "latex"),
        "hostile": latex(hostile_grid()),
    }
    return max([_compiled(name, text) for name, text in tables.items()])


def hostile_grid() -> Grid:
    """Return a table whose every text tries to be more than text."""
    rows = tuple(
        Row((name, name, "3", "0.5 ± 0.1", "-0.1", "-0.2 to +0.0", "< 0.001", "worse"), "worse")
        for name in _NAMES
    )
    header = (
        "a_b",
        "x^2",
        "seeds",
        "mean ± sd",
        "difference",
        "95 % interval",
        "p (Holm)",
        "verdict",
    )
    return Grid(_NAMES[0], _NAMES[1], header, 2, ((_NAMES[2], rows), (_NAMES[3], rows)), _NAMES[4])


def _compiled(name: str, table: str) -> int:
    with tempfile.TemporaryDirectory() as place:
        source = Path(place) / f"{name}.tex"
        source.write_text(_DOCUMENT % table, encoding="utf-8")
        command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", source.name]
        found = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
        if found.returncode:
            print("\n".join(found.stdout.splitlines()[-15:]))
        else:
            shutil.copy(source.with_suffix(".pdf"), f"{name}.pdf")
            print(f"{name}.pdf")
    return found.returncode


if __name__ == "__main__":
    sys.exit(main())
