"""summary.csv: one row for each configuration and metric."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from ablate.report.verdict import AblationReport, Comparison, Report
from ablate.results.columns import SUMMARY_COLUMNS
from ablate.results.tables import SUMMARY, write_table


def summary_table(ablations: Iterable[AblationReport]) -> pd.DataFrame:
    """Return the rows: ablation by ablation, baseline first, then the values in the ablation's own order.

    Rows of what has no finished run come last, as do columns of settings in which configurations differ in more
    than the value.
    """
    ablations = tuple(ablations)
    rows = [
        _row(ablation, one)
        for ablation in ablations
        for one in (*ablation.comparisons, *ablation.unfinished)
    ]
    settings = dict.fromkeys(name for ablation in ablations for name in ablation.settings)
    extra = [name for name in settings if name not in SUMMARY_COLUMNS]
    return pd.DataFrame(rows, columns=[*SUMMARY_COLUMNS, *extra])


def write_summary(report: Report, folder: Path) -> Path:
    """Write summary.csv; the caller holds the sweep's lock where the folder is a sweep's."""
    path = folder / SUMMARY
    write_table(summary_table(report.ablations), path)
    return path


def _n_common_seeds(one: Comparison) -> int | None:
    """Return the seeds that a difference is over."""
    return None if one.difference is None else one.common_seeds or one.n_seeds


def _row(ablation: AblationReport, one: Comparison) -> dict[str, object]:
    return {
        **one.settings,
        "ablation": ablation.name,
        "axis": ablation.key,
        "value": one.value,
        "is_baseline": one.is_baseline,
        "metric": one.metric,
        "n_seeds": one.n_seeds,
        "n_common_seeds": _n_common_seeds(one),
        "n_items": one.n_items,
        "mean": one.mean,
        "sd": one.sd,
        "difference": one.difference,
        "ci95_low": one.low,
        "ci95_high": one.high,
        "p": one.p,
        "p_holm": one.p_holm,
        "verdict": one.verdict if ablation.key is not None else None,
        "smallest_shown": one.smallest_shown,
        "margin": one.margin,
        "needed_seeds": one.needed_seeds,
        "needed_items": one.needed_items,
        "n_clusters": one.n_clusters,
        "test": one.test,
        "sentence": one.sentence if ablation.key is not None else None,
        "run_ids": " ".join(one.configuration.run_ids),
    }
