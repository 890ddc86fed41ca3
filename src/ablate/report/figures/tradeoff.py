"""One quantity against another for every configuration, with the front of those that no other beats in both."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ablate.report.figures.labels import place_labels
from ablate.report.figures.series import names_of
from ablate.report.figures.style import (
    BLUE,
    INK,
    QUIET,
    column_figure,
    dots,
    footnote,
    rings,
    short,
)
from ablate.report.figures.ticks import cost_ticks, metric_ticks
from ablate.report.figures.words import words_of
from ablate.report.verdict import AblationReport, Configuration
from ablate.statistics.crossed import Floats

ADAPTATION_SECONDS = "adaptation_seconds"
_COSTS = ("trainable_parameters", ADAPTATION_SECONDS, "peak_memory_bytes")
_GAINS = ("target_improvement", "accuracy", "vision_stable_score")
_MOST_LABELS = 12


@dataclass(frozen=True)
class Mark:
    """A configuration in a picture of two quantities.

    Attributes:
        configuration: The runs.
        name: What it is called in the picture.
        x: Mean of the horizontal quantity.
        y: Mean of the vertical quantity.
        seeds: Both quantities of every run that has both.
        on_front: Whether no other configuration is at least as good in both and better in one.
    """

    configuration: Configuration
    name: str
    x: float
    y: float
    seeds: tuple[tuple[float, float], ...]
    on_front: bool


@dataclass(frozen=True)
class Tradeoff:
    """Two quantities that pull against each other.

    Attributes:
        name: Name of the picture's file.
        x: Column of the horizontal quantity.
        y: Column of the vertical quantity; more is better.
        x_is_cost: Whether less of `x` is better.
    """

    name: str
    x: str
    y: str
    x_is_cost: bool


def tradeoffs(results: pd.DataFrame) -> list[Tradeoff]:
    """Choose what can be shown: gain against forgetting, and against each cost.

    Args:
        results: Rows of results.csv whose status is ok.
    """
    have = {str(column) for column in results.columns if results[column].notna().any()}
    have |= {ADAPTATION_SECONDS} if "train_seconds" in have else set()
    pairs = [("control_change", "target_improvement"), ("text_stable_score", "vision_stable_score")]
    chosen = [Tradeoff(f"{y}_{x}", x, y, False) for x, y in pairs if {x, y} <= have][:1]
    gain = next((metric for metric in _GAINS if metric in have), None)
    if gain is not None:
        chosen += [Tradeoff(f"{gain}_{cost}", cost, gain, True) for cost in _COSTS if cost in have]
    return chosen


def marks_of(ablation: AblationReport, results: pd.DataFrame, what: Tradeoff) -> list[Mark]:
    """Return the configurations that have both quantities.

    Args:
        ablation: Whose configurations.
        results: Rows of results.csv, indexed by run id.
        what: The quantities.
    """
    names = names_of(ablation)
    place_of = {run_id: place for place, run_id in enumerate(results.index)}
    both = np.column_stack([_column(results, what.x), _column(results, what.y)])
    found = []
    for configuration in ablation.configurations:
        pairs = both[[place_of[run_id] for run_id in configuration.run_ids]]
        pairs = pairs[np.isfinite(pairs).all(axis=1)]
        if len(pairs):
            found.append((configuration, pairs))
    means = np.array([pairs.mean(axis=0) for _, pairs in found]).reshape(-1, 2)
    front = on_front(means * (-1 if what.x_is_cost else 1, 1))
    return [
        Mark(
            configuration,
            names[configuration.run_ids],
            float(mean[0]),
            float(mean[1]),
            tuple((float(x), float(y)) for x, y in pairs),
            bool(is_on),
        )
        for (configuration, pairs), mean, is_on in zip(found, means, front, strict=True)
    ]


def _column(rows: pd.DataFrame, name: str) -> Floats:
    if name != ADAPTATION_SECONDS:
        return np.asarray(rows[name].to_numpy(dtype=float, na_value=np.nan))
    train = np.asarray(rows["train_seconds"].to_numpy(dtype=float, na_value=np.nan))
    # A stage that never ran has no seconds.
    importance = rows["importance_seconds"].fillna(0.0).to_numpy(dtype=float)
    return np.asarray(train + importance)


def on_front(points: Floats) -> NDArray[np.bool_]:
    """Tell which points no other point dominates.

    Args:
        points: `[n, 2]`, more is better in both.

    Returns:
        `[n]` booleans.
    """
    if not len(points):
        return np.zeros(0, dtype=bool)
    at_least = (points[None] >= points[:, None]).all(axis=2)
    better = (points[None] > points[:, None]).any(axis=2)
    return np.asarray(~np.any(at_least & better, axis=1))


def draw_tradeoff(marks: Sequence[Mark], what: Tradeoff) -> Figure | None:
    """Draw two quantities against each other.

    Returns:
        None where fewer than two configurations have both, or one of the quantities never differs.
    """
    if len(marks) < 2 or len({mark.x for mark in marks}) < 2 or len({mark.y for mark in marks}) < 2:
        return None
    figure, axes = column_figure(2.5)
    seeds = [seed for mark in marks for seed in mark.seeds]
    rings(axes, [x for x, _ in seeds], [y for _, y in seeds], QUIET)
    front = sorted((mark for mark in marks if mark.on_front), key=lambda mark: mark.x)
    axes.plot(
        [m.x for m in front], [m.y for m in front], color=BLUE, linewidth=1, alpha=0.6, zorder=3
    )
    colours = [BLUE if mark.on_front else QUIET for mark in marks]
    hollow = [mark.configuration.is_baseline for mark in marks]
    dots(axes, [mark.x for mark in marks], [mark.y for mark in marks], colours, hollow)
    axes.margins(0.12)
    axes.set_xlabel(words_of(what.x))
    axes.set_ylabel(words_of(what.y))
    if what.x_is_cost:
        cost_ticks(axes, what.x, min(x for x, _ in seeds), max(x for x, _ in seeds))
    else:
        metric_ticks(axes, "x", what.x, 5)
    metric_ticks(axes, "y", what.y)
    lines = ["blue: no other is better in both; small rings: single seeds"]
    if any(hollow):
        lines.append("hollow: the baseline")
    footnote(figure, "; ".join(lines))
    # Those that matter come first: where there is no room left, the others stay without a name.
    ordered = sorted(
        marks, key=lambda mark: (not mark.configuration.is_baseline, not mark.on_front)
    )
    place_labels(
        figure,
        axes,
        [((mark.x, mark.y), short(mark.name, 16)) for mark in ordered[:_MOST_LABELS]],
        obstacles=[
            *((mark.x, mark.y) for mark in marks),
            *(seed for mark in marks for seed in mark.seeds),
        ],
        colour=INK,
    )
    return figure
