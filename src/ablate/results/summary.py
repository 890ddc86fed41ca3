"""A sweep in few lines: one row per configuration, means over its seeds, differences to the baseline."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from ablate.results.columns import COLUMNS, SETTING_COLUMNS
from ablate.results.record import AblationRecord, Cell

# What is shown without an ablation that names its metrics.
METRICS = (
    "accuracy_before",
    "accuracy",
    "target_improvement",
    "control_change",
    "vision_stable_score",
    "text_stable_score",
)
_SETTINGS = (*SETTING_COLUMNS, "precision", "model_source")
# Other names of what has a column of its own.
_ALIASES = {
    "method.rank": "rank",
    "method.top_k_heads": "top_k_heads",
    "method.sparsity": "sparsity",
    "data.shots": "shots",
    "data.sessions": "sessions",
}


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds.

    Attributes:
        mean: The mean.
        sd: Standard deviation over seeds; None for one.
        n: Number of seeds.
    """

    mean: float
    sd: float | None
    n: int


@dataclass(frozen=True)
class Summary:
    """The runs of one configuration.

    Attributes:
        value: The ablation's value; None where there is no ablation.
        settings: The settings in which configurations differ, besides the ablation's value.
        n_runs: Successful runs.
        is_baseline: Whether it is what the others are compared with.
        metrics: Mean of every metric that was measured.
        differences: Mean difference to the baseline in the same setting, paired by seed, by metric.
    """

    value: Cell
    settings: dict[str, Cell]
    n_runs: int
    is_baseline: bool
    metrics: dict[str, Estimate]
    differences: dict[str, Estimate]


def summarise(results: pd.DataFrame, ablation: AblationRecord | None) -> list[Summary]:
    """Sum up runs of one ablation, or runs without one.

    Runs are of one configuration when they agree in all that determines their numbers but the seed.

    Args:
        results: Rows of results.csv whose status is ok; at least one.
        ablation: What the runs are values of.

    Returns:
        One summary per configuration, in the order of the ablation's values.
    """
    own = results["config_id"]
    groups = [rows for _, rows in results.groupby(own.fillna(results["run_id"]), sort=False)]
    settings = _differing(results, groups, None if ablation is None else ablation.key)
    names = METRICS if ablation is None else ablation.metrics
    metrics = [name for name in names if name in results and results[name].notna().any()]
    summaries = []
    for rows in _in_order(groups, ablation):
        value, context = _value(rows), {name: _cell(rows[name].iloc[0]) for name in settings}
        base = None if ablation is None else _baseline(groups, ablation, context)
        summaries.append(
            Summary(
                value,
                context,
                len(rows),
                base is rows,
                {m: e for m in metrics if (e := _estimate(rows[m].dropna().tolist()))},
                {}
                if base is None or base is rows
                else {m: e for m in metrics if (e := _difference(rows, base, m))},
            )
        )
    return summaries


def _differing(results: pd.DataFrame, groups: Sequence[pd.DataFrame], key: str | None) -> list[str]:
    """Return the columns of settings in which configurations differ and that do not simply follow the value."""
    axis = None if key is None else key.rsplit(".", 1)[-1]
    extra = [str(c) for c in results.columns if c not in COLUMNS and c not in _ALIASES]
    firsts = pd.DataFrame([rows.iloc[0] for rows in groups])
    by_value = firsts.groupby(firsts["value"].map(repr)) if key else None
    differing = []
    for name in (*_SETTINGS, *extra):
        if name in (axis, key) or firsts[name].map(repr).nunique() < 2:
            continue
        if by_value is None or by_value[name].nunique(dropna=False).max() > 1:
            differing.append(name)
    # A path says more than the name made of it, unless the names tell all.
    if {"model", "model_source"} <= set(differing):
        differing.remove(
            "model_source" if _same_partition(firsts, "model", "model_source") else "model"
        )
    return differing if differing or key is not None else ["method"]


def _same_partition(rows: pd.DataFrame, one: str, other: str) -> bool:
    return rows.groupby(one)[other].nunique(dropna=False).max() == 1


def _in_order(
    groups: Sequence[pd.DataFrame], ablation: AblationRecord | None
) -> list[pd.DataFrame]:
    if ablation is None:
        return list(groups)
    order = {_key(value): position for position, value in enumerate(ablation.values)}
    return sorted(groups, key=lambda rows: order.get(_key(_value(rows)), len(order)))


def _baseline(
    groups: Sequence[pd.DataFrame], ablation: AblationRecord, context: dict[str, Cell]
) -> pd.DataFrame | None:
    """Return the baseline's runs in the same setting; None where there are none, or several configurations."""
    found = [
        rows
        for rows in groups
        if _key(_value(rows)) == _key(ablation.baseline)
        and all(_key(_cell(rows[name].iloc[0])) == _key(given) for name, given in context.items())
    ]
    return found[0] if len(found) == 1 else None


def _difference(rows: pd.DataFrame, base: pd.DataFrame, metric: str) -> Estimate | None:
    """Return the mean difference to the baseline over the seeds that both have."""
    one, other = (part.set_index("seed")[metric].dropna() for part in (rows, base))
    common = one.index.intersection(other.index)
    return _estimate([float(one[seed]) - float(other[seed]) for seed in common])


def _estimate(values: Sequence[float]) -> Estimate | None:
    if not values:
        return None
    numbers = [float(value) for value in values]
    sd = statistics.stdev(numbers) if len(numbers) > 1 else None
    return Estimate(statistics.fmean(numbers), sd, len(numbers))


def _value(rows: pd.DataFrame) -> Cell:
    return _cell(rows["value"].iloc[0])


def _cell(value: object) -> Cell:
    """Return a cell as a plain value; an empty one is None."""
    plain = value.item() if hasattr(value, "item") else value
    if plain is None or plain is pd.NA or (isinstance(plain, float) and math.isnan(plain)):
        return None
    return plain if isinstance(plain, bool | int | float | str) else str(plain)


def _key(value: Cell) -> str:
    """Tell values apart by what they are: 1 is 1.0, and neither is true or the text '1'."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return repr(float(value)) if is_number else repr(value)  # type: ignore[arg-type]
