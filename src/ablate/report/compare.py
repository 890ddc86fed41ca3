"""Makes the report: every configuration in every metric, compared, corrected over the values, put in words."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import pandas as pd

from ablate.report.configurations import by_context, cell, configurations, unfinished
from ablate.report.loaded import Loaded
from ablate.report.notes import stability_notes
from ablate.report.numbers import shown
from ablate.report.paired import Tested, tested
from ablate.report.runs import Run, RunsByConfiguration
from ablate.report.terms import items_behind
from ablate.report.verdict import AblationReport, Comparison, Configuration, Report, Verdict
from ablate.report.words import answer, sentence
from ablate.results.columns import METRICS
from ablate.results.record import AblationRecord, Cell, same_value
from ablate.statistics.estimate import ALPHA, holm

# What is shown without an ablation that names its metrics.
_HEADLINES = (
    "accuracy_before",
    "accuracy",
    "target_improvement",
    "control_change",
    "vision_stable_score",
    "text_stable_score",
)


def report_of(loaded: Loaded, margins: Mapping[str, float] | None = None) -> Report:
    """Compare what was read.

    Args:
        loaded: The runs.
        margins: The user's margins of equivalence, by metric; a metric without one is given the smallest
            difference that could have been shown.
    """
    finished = loaded.finished
    reports = [
        _ablation_report(loaded, rows, loaded.ablations.get(str(name)), cell(name), margins or {})
        for name, rows in finished.groupby("ablation", dropna=False, sort=False)
    ]
    return Report(loaded, tuple(reports))


def _ablation_report(
    loaded: Loaded,
    rows: pd.DataFrame,
    ablation: AblationRecord | None,
    name: object,
    margins: Mapping[str, float],
) -> AblationReport:
    found = configurations(rows, ablation)
    named = _HEADLINES if ablation is None else ablation.metrics
    metrics = tuple(m for m in named if m in rows and rows[m].notna().any())
    stable = loaded.stable_tasks[loaded.stable_tasks["ablation"].isin([name])]
    runs = RunsByConfiguration(loaded, rows, metrics)
    baseline = None if ablation is None else ablation.baseline
    comparisons: list[Comparison] = []
    for context in by_context(found):
        comparisons += _compared(context, runs, metrics, stable, margins, baseline)
    comparisons.sort(key=lambda one: (found.index(one.configuration), metrics.index(one.metric)))
    failed = loaded.failed[loaded.failed["ablation"].isin([name])]
    report = AblationReport(
        name=None if name is None else str(name),
        question=None if ablation is None else ablation.question,
        key=None if ablation is None else ablation.key,
        values=_values(found, ablation),
        baseline=baseline,
        metrics=metrics,
        settings=tuple(found[0].settings),
        configurations=found,
        comparisons=tuple(comparisons),
        unfinished=() if ablation is None else tuple(_unfinished(failed, found, metrics, baseline)),
        notes=tuple(stability_notes(stable, rows)),
    )
    return replace(report, answer=tuple(answer(report)))


def _unfinished(
    failed: pd.DataFrame, found: Sequence[Configuration], metrics: Sequence[str], baseline: Cell
) -> Iterator[Comparison]:
    """Yield what has no finished run, metric by metric: without a row it would not be missed."""
    for configuration, reason in unfinished(failed, found):
        for metric in metrics:
            one = Comparison(configuration, metric, None, None, (), 0, reason=reason)
            yield replace(one, sentence=sentence(one, baseline))


def _compared(
    context: Sequence[Configuration],
    runs: RunsByConfiguration,
    metrics: Sequence[str],
    stable: pd.DataFrame,
    margins: Mapping[str, float],
    baseline: Cell,
) -> list[Comparison]:
    """Compare the configurations of one setting with their baseline, if they have one."""
    base = next((one for one in context if one.is_baseline), None)
    no_base = _without_base(context, baseline)
    base_runs = None if base is None else runs.of(base)
    found: dict[str, list[tuple[Comparison, Tested]]] = {metric: [] for metric in metrics}
    for configuration in context:
        own = runs.of(configuration)
        for metric in metrics:
            summary = _summary(configuration, metric, own)
            first = next(iter(own.values())).record
            summary = replace(summary, n_items=items_behind(metric, first, stable))
            if summary.mean is None:
                result = Tested(None, "not measured")
            elif configuration is base:
                result = Tested(None)
            elif base_runs is None:
                result = Tested(None, no_base)
            else:
                margin, n_values = margins.get(metric), len(context) - 1
                result = tested(metric, own, base_runs, stable, margin, n_values)
            found[metric].append((summary, result))
    return [one for metric in metrics for one in _decided(found[metric], margins, baseline)]


def _without_base(context: Sequence[Configuration], baseline: Cell) -> str:
    """Say why there is nothing to compare the configurations of one setting with."""
    if baseline is None:
        return "there is no baseline"
    n = sum(same_value(one.value) == same_value(baseline) for one in context)
    if n > 1:
        return f"{n} configurations have the baseline's value {shown(baseline)}, which no column tells apart"
    of_settings = " with these settings" if context[0].settings else ""
    return f"the baseline {shown(baseline)} has no finished run{of_settings} here"


def _summary(configuration: Configuration, metric: str, runs: Mapping[int, Run]) -> Comparison:
    per_seed = tuple(run.numbers[metric] for run in runs.values())
    known = [number for number in per_seed if number is not None]
    return Comparison(
        configuration,
        metric,
        mean=statistics.fmean(known) if known else None,
        sd=statistics.stdev(known) if len(known) > 1 else None,
        per_seed=per_seed,
        n_seeds=len(known),
    )


def _decided(
    pairs: Sequence[tuple[Comparison, Tested]],
    margins: Mapping[str, float],
    baseline: Cell,
) -> list[Comparison]:
    """Correct the p values of one metric over its values, and decide."""
    estimates = [result.estimate for _, result in pairs]
    own_margin = margins.get(pairs[0][0].metric)
    limits = [
        own_margin if own_margin is not None or e is None else e.smallest_shown for e in estimates
    ]
    same = [
        None if e is None or limit is None else e.p_equivalent(limit)
        for e, limit in zip(estimates, limits, strict=True)
    ]
    p_holm = _corrected([None if e is None else e.p for e in estimates])
    equivalent = _corrected(same)
    decided = []
    for (summary, result), limit, p, p_same in zip(pairs, limits, p_holm, equivalent, strict=True):
        estimate = result.estimate
        one = replace(summary, reason=result.reason)
        if estimate is not None:
            low, high = estimate.interval or (None, None)
            one = replace(
                one,
                n_items=result.n_items or summary.n_items,
                n_clusters=result.n_clusters,
                common_seeds=result.common_seeds,
                difference=estimate.difference,
                low=low,
                high=high,
                p=estimate.p,
                p_holm=p,
                smallest_shown=estimate.smallest_shown,
                margin=limit,
                test=None if result.reason else estimate.test,
                notes=estimate.notes,
            )
        one = replace(one, verdict=_verdict(one, result, p_same))
        if one.verdict == "undecided" and result.needed is not None:
            plan = result.needed
            one = replace(one, needed_seeds=plan.seeds, needed_items=plan.items)
        decided.append(replace(one, sentence=sentence(one, baseline)))
    return decided


def _corrected(p_values: Sequence[float | None]) -> list[float | None]:
    corrected = iter(holm([p for p in p_values if p is not None]))
    return [None if p is None else next(corrected) for p in p_values]


def _verdict(one: Comparison, result: Tested, p_equivalent: float | None) -> Verdict:
    if one.is_baseline:
        return "baseline"
    if result.is_exact or (one.p_holm is not None and one.p_holm < ALPHA):
        return "equivalent" if not one.difference else _direction(one.metric, one.difference)
    if one.p_holm is None:
        return "untested"
    if one.difference == 0 and result.estimate is not None and result.estimate.se is None:
        return "equivalent"
    return "equivalent" if p_equivalent is not None and p_equivalent < ALPHA else "undecided"


def _direction(metric: str, difference: float) -> Verdict:
    better = METRICS[metric].better
    if better is None:
        return "different"
    return "better" if (difference > 0) == (better == "higher") else "worse"


def _values(found: Sequence[Configuration], ablation: AblationRecord | None) -> tuple[Cell, ...]:
    """Return the values that have runs: in the ablation's order, then those that it does not name."""
    there = {same_value(one.value): one.value for one in found}
    named = [] if ablation is None else [same_value(value) for value in ablation.values]
    return tuple(there[value] for value in dict.fromkeys([*named, *there]) if value in there)
