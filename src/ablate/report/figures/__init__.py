"""The pictures of a report, for a paper's column and for a phone: PNG and PDF, drawn without a display."""

import re
from collections.abc import Iterator
from pathlib import Path

from matplotlib.figure import Figure

from ablate.report.figures.forest import draw_forest
from ablate.report.figures.heat import draw_heat, grid_of
from ablate.report.figures.metric import draw_metric
from ablate.report.figures.series import key_words
from ablate.report.figures.sessions import draw_sessions, session_curves
from ablate.report.figures.style import save, style
from ablate.report.figures.task_differences import task_differences
from ablate.report.figures.tradeoff import draw_tradeoff, marks_of, tradeoffs
from ablate.report.loaded import Loaded
from ablate.report.verdict import AblationReport, Report

_FOLDER = "figures"
_SUFFIXES = (".png", ".pdf")


def write_figures(report: Report, folder: Path) -> list[Path]:
    """Draw every picture that has something to show.

    Args:
        report: What was compared.
        folder: `outputs/<name>`; pictures that an earlier report left in its `figures/` are removed.

    Returns:
        The files: a PNG and a PDF for each picture.
    """
    place = folder / _FOLDER
    place.mkdir(parents=True, exist_ok=True)
    for old in place.iterdir():
        if old.suffix in _SUFFIXES and old.is_file():
            old.unlink()
    files: list[Path] = []
    with style():
        for number, ablation in enumerate(report.ablations):
            prefix = _prefix(ablation, number) if len(report.ablations) > 1 else ""
            for name, figure in _pictures(ablation, report.loaded):
                files += save(figure, place, prefix + name)
    return files


def _pictures(ablation: AblationReport, loaded: Loaded) -> Iterator[tuple[str, Figure]]:
    """Yield the pictures of an ablation, each with its name."""
    grid = grid_of(ablation)
    for metric in ablation.metrics:
        yield from _named(metric, draw_metric(ablation, metric))
        if grid is not None:
            yield from _named(f"{metric}_grid", draw_heat(ablation, metric, grid))
    results = loaded.finished.set_index("run_id")
    for what in tradeoffs(results):
        yield from _named(what.name, draw_tradeoff(marks_of(ablation, results, what), what))
    curves = session_curves(ablation, loaded.sessions)
    yield from _named("sessions", draw_sessions(curves, key_words(ablation.key)))
    yield from _named("tasks", draw_forest(*task_differences(ablation, loaded), against(ablation)))


def _named(name: str, figure: Figure | None) -> Iterator[tuple[str, Figure]]:
    if figure is not None:
        yield name, figure


def against(ablation: AblationReport) -> str:
    """Say what an ablation's configurations are compared with, task by task."""
    has_baseline = any(one.is_baseline for one in ablation.configurations)
    return "the baseline" if has_baseline else "the base model"


def _prefix(ablation: AblationReport, number: int) -> str:
    """Begin a file's name with the ablation's; what it may hold besides letters and digits leads nowhere."""
    name = re.sub(r"[^A-Za-z0-9]+", "-", ablation.name or "").strip("-")[:40]
    return f"{name or number}-"
