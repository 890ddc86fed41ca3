"""A report printed: in any text format, and what is missing from it."""

from collections.abc import Iterator, Sequence

import pandas as pd
from rich.console import Group
from rich.text import Text

from ablate.config.text import printable
from ablate.report.loaded import Loaded
from ablate.report.summary import summary_table
from ablate.report.tables.grid import grid_of
from ablate.report.tables.latex import latex
from ablate.report.tables.markdown import markdown
from ablate.report.tables.terminal import display, rendered, table
from ablate.report.verdict import AblationReport, Report
from ablate.results.tables import safe_table

Labelled = Sequence[tuple[str | None, Report]]
_Side = list[tuple[str | None, AblationReport]]


def show(report: Report) -> None:
    """Print a report's tables and verdicts on the terminal."""
    display(rendered(report))


def show_side_by_side(reports: Labelled) -> None:
    """Print the tables of several folders, one beside the other, and each folder's verdicts."""
    for those in _side_by_side(reports):
        grid = grid_of(those)
        lines = [f"{label}: {line}" for label, one in those for line in one.answer]
        title = f"{grid.name}: {grid.question or ''}".rstrip(": ") if grid.name else ""
        texts = [Text(printable(line)) for line in (grid.legend, *lines)]
        display(Group(Text(printable(title), style="bold"), table(grid), *texts))


def printed(reports: Labelled, format_: str) -> str:
    """Return reports as text.

    Args:
        reports: Each with what its rows are called; a single report needs no name.
        format_: markdown, latex or csv.
    """
    if format_ == "csv":
        tables = [
            summary_table(report.ablations).assign(**({} if label is None else {"folder": label}))
            for label, report in reports
        ]
        return str(safe_table(pd.concat(tables)).to_csv(index=False))
    if format_ == "latex":
        return "\n".join(latex(grid_of(those)) for those in _side_by_side(reports))
    return "\n".join(
        markdown(
            grid_of(those),
            [
                line if label is None else f"{label}: {line}"
                for label, a in those
                for line in a.answer
            ],
        )
        for those in _side_by_side(reports)
    )


def missing(loaded: Loaded) -> Iterator[str]:
    """Yield a line for every run that is not in the tables, and for what else a reader has to know."""
    for line in loaded.notes:
        yield printable(line)
    for record in loaded.records:
        if record.status != "ok":
            why = ": ".join(str(part) for part in (record.status, record.row.get("error")) if part)
            yield printable(f"{record.row['run_id']} is not in the tables: {why}")
    for run_id, why in loaded.damaged.items():
        yield printable(f"{run_id} is damaged, and not in the tables: {why}")
    if loaded.finished.empty:
        yield "no run has succeeded"


def _side_by_side(reports: Labelled) -> list[_Side]:
    """Put the ablations of one name together."""
    groups: dict[tuple[str | None, str | None], _Side] = {}
    for label, report in reports:
        for ablation in report.ablations:
            groups.setdefault((ablation.name, ablation.key), []).append((label, ablation))
    return list(groups.values())
