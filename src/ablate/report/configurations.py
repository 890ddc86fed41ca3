"""Runs grouped into configurations: what differs in nothing but the seed."""

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any

import pandas as pd

from ablate.report.verdict import Configuration
from ablate.results.columns import COLUMNS, SETTING_COLUMNS
from ablate.results.record import AblationRecord, Cell, same_value

_SETTINGS = (*SETTING_COLUMNS, "precision", "model_source")
# Other names of what has a column of its own.
_ALIASES = {
    "method.rank": "rank",
    "method.top_k_heads": "top_k_heads",
    "method.sparsity": "sparsity",
    "data.shots": "shots",
    "data.sessions": "sessions",
}


def configurations(
    results: pd.DataFrame, ablation: AblationRecord | None
) -> tuple[Configuration, ...]:
    """Group successful runs of one ablation, or of none.

    Args:
        results: Rows of results.csv whose status is ok; at least one.
        ablation: What the runs are values of.

    Returns:
        Setting by setting: the baseline, then the ablation's values in its own order. A setting in which
        several configurations have the baseline's value has no baseline.
    """
    own = results["config_id"]
    groups = [rows for _, rows in results.groupby(own.fillna(results["run_id"]), sort=False)]
    names = differing_settings(results, groups, None if ablation is None else ablation.key)
    found = [_configuration(rows, names) for rows in groups]
    if ablation is None:
        return tuple(found)
    order = {same_value(value): position for position, value in enumerate(ablation.values)}
    contexts = {context_of(one): position for position, one in reversed(list(enumerate(found)))}
    base = [one for one in found if same_value(one.value) == same_value(ablation.baseline)]
    clear = {
        context_of(one) for one in base if [context_of(b) for b in base].count(context_of(one)) == 1
    }
    marked = [
        Configuration(one.value, one.settings, True, one.run_ids, one.seeds)
        if one in base and context_of(one) in clear
        else one
        for one in found
    ]
    return tuple(
        sorted(
            marked,
            key=lambda one: (
                contexts[context_of(one)],
                not one.is_baseline,
                order.get(same_value(one.value), len(order)),
            ),
        )
    )


def unfinished(
    failed: pd.DataFrame, finished: Sequence[Configuration]
) -> Iterator[tuple[Configuration, str]]:
    """Yield the configurations of an ablation none of whose runs finished, and what became of those.

    Args:
        failed: Rows of results.csv of the ablation's other runs.
        finished: Its configurations that have runs; at least one.
    """
    there = {(same_value(one.value), context_of(one)) for one in finished}
    found: dict[Hashable, tuple[Configuration, Counter[str]]] = {}
    for _, row in failed.iterrows():
        settings = {name: cell(row[name]) for name in finished[0].settings}
        one = Configuration(cell(row["value"]), settings, False, (), ())
        key = same_value(one.value), context_of(one)
        if key not in there:
            found.setdefault(key, (one, Counter()))[1][str(row["status"])] += 1
    for one, ends in found.values():
        n = ends.total()
        said = ", ".join(f"{times} {end}" for end, times in ends.items())
        runs = "its run has not" if n == 1 else f"none of its {n} runs has"
        yield one, f"{runs} finished: {said}"


def differing_settings(
    results: pd.DataFrame, groups: Sequence[pd.DataFrame], key: str | None
) -> list[str]:
    """Return the columns of settings in which configurations differ and that do not simply follow the value."""
    axis = None if key is None else key.rsplit(".", 1)[-1]
    extra = [str(c) for c in results.columns if c not in COLUMNS and c not in _ALIASES]
    firsts = pd.DataFrame([rows.iloc[0] for rows in groups])
    values = _looks(firsts["value"]) if key else [None] * len(firsts)
    differing = [
        name
        for name in (*_SETTINGS, *extra)
        if name not in (axis, key)
        and len({*zip(values, _looks(firsts[name]), strict=True)}) > len({*values})
    ]
    # A path says more than the name made of it, unless the names tell all.
    if {"model", "model_source"} <= set(differing):
        differing.remove(
            "model_source" if _same_partition(firsts, "model", "model_source") else "model"
        )
    return differing if differing or key is not None else ["method"]


def cell(value: object) -> Cell:
    """Return a cell as a plain value; an empty one is None."""
    plain = value.item() if hasattr(value, "item") else value
    if plain is None or plain is pd.NA or (isinstance(plain, float) and math.isnan(plain)):
        return None
    return plain if isinstance(plain, bool | int | float | str) else str(plain)


def _configuration(rows: pd.DataFrame, settings: Sequence[str]) -> Configuration:
    rows = rows.sort_values("seed", kind="stable")
    return Configuration(
        cell(rows["value"].iloc[0]),
        {name: cell(rows[name].iloc[0]) for name in settings},
        False,
        tuple(str(run_id) for run_id in rows["run_id"]),
        tuple(int(seed) for seed in rows["seed"]),
    )


def context_of(configuration: Configuration) -> Hashable:
    """Return what tells a configuration's setting, in which it has a baseline, from another."""
    return tuple((name, same_value(value)) for name, value in configuration.settings.items())


def by_context(found: Iterable[Configuration]) -> list[list[Configuration]]:
    """Group configurations by their settings: those that one baseline is for."""
    groups: dict[Hashable, list[Configuration]] = {}
    for one in found:
        groups.setdefault(context_of(one), []).append(one)
    return list(groups.values())


def _looks(column: "pd.Series[Any]") -> list[Hashable]:
    return [same_value(cell(value)) for value in column]


def _same_partition(rows: pd.DataFrame, one: str, other: str) -> bool:
    return rows.groupby(one)[other].nunique(dropna=False).max() == 1
