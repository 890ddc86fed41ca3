"""Accuracy after each session of continual learning: what is learnt, and what is lost of it."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ablate.report.figures.series import names_of
from ablate.report.figures.style import COLUMN_INCHES, INK, footnote, name_ticks, short
from ablate.report.verdict import AblationReport
from ablate.statistics.crossed import Floats

_MOST_PANELS = 6
_ACROSS = 2
_PANEL_INCHES = 1.5
# A record from outside may claim any number; a picture of more would say nothing.
_MOST_SESSIONS = 100


@dataclass(frozen=True)
class SessionCurves:
    """One configuration's accuracy after each session.

    Attributes:
        name: The configuration in words.
        accuracy: Mean over seeds of the accuracy on the classes of a session, by session, then by how many
            sessions were trained: `[sessions, 1 + sessions]`; NaN where it was not measured.
        overall: The same on all classes, weighted by items, `[1 + sessions]`.
        seeds: `overall` of every seed, `[seeds, 1 + sessions]`.
    """

    name: str
    accuracy: Floats
    overall: Floats
    seeds: Floats


def session_curves(ablation: AblationReport, sessions: pd.DataFrame) -> list[SessionCurves]:
    """Return the configurations that had at least two sessions.

    Args:
        ablation: Whose configurations.
        sessions: Rows of sessions.csv.
    """
    by_run = dict(iter(sessions.groupby("run_id", sort=False)))
    names = names_of(ablation)
    curves = []
    for configuration in ablation.configurations:
        runs = [by_run[run_id] for run_id in configuration.run_ids if run_id in by_run]
        n = max((int(rows["session"].max()) for rows in runs), default=0)
        if not 2 <= n <= _MOST_SESSIONS:
            continue
        accuracy = np.full((len(runs), n, n + 1), np.nan)
        weights = np.zeros((len(runs), n, n + 1))
        for run, rows in enumerate(runs):
            rows = rows[rows["session"].between(1, n) & rows["after_session"].between(0, n)]
            at = rows["session"].to_numpy(int) - 1, rows["after_session"].to_numpy(int)
            accuracy[run][at] = rows["accuracy"].to_numpy(float, na_value=np.nan)
            weights[run][at] = rows["n"].to_numpy(float)
        # A number that lacks a session's classes would be another one: it stays empty.
        overall = (accuracy * weights).sum(axis=1) / weights.sum(axis=1).clip(min=1)
        name = names[configuration.run_ids]
        curves.append(SessionCurves(name, accuracy.mean(axis=0), overall.mean(axis=0), overall))
    return curves


def draw_sessions(curves: list[SessionCurves], axis_name: str) -> Figure | None:
    """Draw one panel for each configuration: a line for the classes of each session, and one for all.

    Args:
        curves: The configurations.
        axis_name: What their names are values of.

    Returns:
        None where there is no configuration.
    """
    if not curves:
        return None
    shown = curves[:_MOST_PANELS]
    down = math.ceil(len(shown) / _ACROSS)
    figure = Figure(figsize=(COLUMN_INCHES, 0.7 + _PANEL_INCHES * down), layout="constrained")
    FigureCanvasAgg(figure)
    across = min(_ACROSS, len(shown))
    panels = figure.subplots(down, across, sharey=True, squeeze=False).flatten()
    for axes, curve in zip(panels, shown, strict=False):
        _draw(axes, curve, axis_name)
    for axes in panels[len(shown) :]:
        axes.set_visible(False)
    for axes in panels[::across]:
        axes.set_ylabel("accuracy")
    lines = [
        "coloured: the classes of one session, at the session's number",
        "black: all classes; rings: single seeds",
    ]
    if len(curves) > len(shown):
        lines.append(f"the first {len(shown)} of {len(curves)} configurations")
    footnote(figure, *lines)
    return figure


def _draw(axes: Axes, curve: SessionCurves, axis_name: str) -> None:
    n = len(curve.accuracy)
    after = np.arange(n + 1)
    colours = colormaps["viridis"](np.linspace(0.0, 0.85, n))
    for session, (values, colour) in enumerate(zip(curve.accuracy, colours, strict=True), start=1):
        axes.plot(after, values, color=colour, linewidth=1)
        at = min(session, n)
        axes.text(
            at,
            values[at],
            str(session),
            color=colour,
            fontsize=7,
            fontweight="bold",
            ha="center",
            va="bottom",
        )
    axes.plot(after, curve.overall, color=INK, linewidth=1.6)
    for seed in curve.seeds:
        axes.scatter(after, seed, s=6, facecolors="none", edgecolors=INK, linewidths=0.5, zorder=3)
    axes.set_ylim(-0.02, 1.08)
    step = max(1, n // 5)
    name_ticks(axes, "x", [float(t) for t in after[::step]], [str(t) for t in after[::step]])
    name_ticks(axes, "y", [0, 0.25, 0.5, 0.75, 1.0], ["0", "0.25", "0.50", "0.75", "1"])
    axes.set_xlabel("sessions trained")
    axes.set_title(short(f"{axis_name} {curve.name}".strip(), 26), loc="left")
