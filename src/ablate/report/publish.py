"""What a report leaves in a folder: summary.csv, figures, report.html."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ablate.report.compare import report_of
from ablate.report.load import load
from ablate.report.summary import write_summary
from ablate.report.verdict import Report
from ablate.results.files import locked


def summarise(folder: Path, margins: Mapping[str, float] | None = None) -> Report:
    """Make the report of a sweep and write its summary.csv.

    It is read and written under the sweep's lock: of two processes that end together, the later one has read more.

    Args:
        folder: `outputs/<name>`.
        margins: The user's margins of equivalence, by metric.
    """
    with locked(folder / ".lock"):
        report = report_of(load([folder]), margins)
        write_summary(report, folder)
    return report


def draw(report: Report, folder: Path, with_figures: bool = True) -> list[Path]:
    """Write report.html, and figures/ beside it.

    Returns:
        The files.
    """
    # Matplotlib and Altair take a second to import, and the end of a sweep needs neither.
    from ablate.report.figures import write_figures
    from ablate.report.html import write_page

    figures = write_figures(report, folder) if with_figures else []
    return [*figures, write_page(report, folder)]


def about(report: Report, run_ids: Sequence[str]) -> Report:
    """Keep what concerns some runs: their whole ablations; of runs without one, their configurations."""
    wanted = set(run_ids)
    kept = []
    for ablation in report.ablations:
        own = [c for c in ablation.configurations if not wanted.isdisjoint(c.run_ids)]
        if own and ablation.key is None:
            comparisons = [one for one in ablation.comparisons if one.configuration in own]
            ablation = replace(ablation, configurations=tuple(own), comparisons=tuple(comparisons))
        if own:
            kept.append(ablation)
    return replace(report, ablations=tuple(kept))
