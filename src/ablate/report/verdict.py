"""The shapes that tables, pictures and the page share: what was compared, and what came of it."""

from dataclasses import dataclass, field
from typing import Literal

from ablate.report.loaded import Loaded
from ablate.results.record import Cell

Verdict = Literal["baseline", "better", "worse", "different", "equivalent", "undecided", "untested"]


@dataclass(frozen=True)
class Configuration:
    """Runs that differ in nothing but the seed.

    Attributes:
        value: The ablation's value; None where there is no ablation.
        settings: The settings in which configurations differ in more than the value, by column.
        is_baseline: Whether the others of the same settings are compared with it.
        run_ids: Its successful runs, ordered by seed.
        seeds: Their seeds, in the same order.
    """

    value: Cell
    settings: dict[str, Cell]
    is_baseline: bool
    run_ids: tuple[str, ...]
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Comparison:
    """One configuration in one metric, and how it compares with the baseline of the same settings.

    What was not measured or cannot be computed is None. Differences are value minus baseline, in the metric's own
    unit, over the seeds that both have.

    Attributes:
        configuration: The runs.
        metric: Column of results.csv.
        mean: Mean over the configuration's runs.
        sd: Standard deviation over its seeds; None for one.
        per_seed: The metric of each run, in the order of `configuration.seeds`; None where it was not measured.
        n_seeds: Seeds that the mean is over.
        n_items: Items behind each run's number; None for a metric that is no mean over items.
        n_clusters: What of them counts as independent: images, else the items themselves.
        common_seeds: Seeds that the difference is over, where it and the baseline do not have the same; else None.
        difference: Mean difference to the baseline.
        low: Lower end of its 95 % interval, not corrected for the number of values.
        high: Upper end.
        p: Two-sided p of the difference.
        p_holm: The same, corrected by Holm over the values of this metric and setting.
        smallest_shown: The smallest difference that could have been shown, with power 0.8.
        margin: The margin of equivalence: the user's, else `smallest_shown`.
        needed_seeds: Seeds in all that would decide what is undecided; None where none would, or nothing is.
        needed_items: The same for items, at the seeds there are.
        test: Name of the test, in words; None where there was none.
        reason: Why there was none.
        verdict: `baseline`; `better` or `worse` where p_holm < 0.05, or a count differs in the same way in every
            seed, `different` where the metric has no direction; `equivalent` within `margin`, by two one-sided
            tests corrected by Holm, or the same; `undecided`; `untested` where there is no test.
        sentence: The verdict as one sentence, plain text; its values may come from outside.
        notes: What weakens the verdict, one sentence each: common seeds alone, a conservative form, chosen tasks.
    """

    configuration: Configuration
    metric: str
    mean: float | None
    sd: float | None
    per_seed: tuple[float | None, ...]
    n_seeds: int
    n_items: int | None = None
    n_clusters: int | None = None
    common_seeds: int | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_holm: float | None = None
    smallest_shown: float | None = None
    margin: float | None = None
    needed_seeds: int | None = None
    needed_items: int | None = None
    test: str | None = None
    reason: str | None = None
    verdict: Verdict = "untested"
    sentence: str = ""
    notes: tuple[str, ...] = ()

    @property
    def value(self) -> Cell:
        """The ablation's value."""
        return self.configuration.value

    @property
    def settings(self) -> dict[str, Cell]:
        """The settings in which configurations differ in more than the value."""
        return self.configuration.settings

    @property
    def is_baseline(self) -> bool:
        """Whether the others of the same settings are compared with it."""
        return self.configuration.is_baseline

    @property
    def holds(self) -> bool:
        """Whether there is a difference to the baseline that holds."""
        return self.verdict in ("better", "worse", "different")


@dataclass(frozen=True)
class AblationReport:
    """One ablation, or all runs without one.

    Attributes:
        name: Name of the ablation; None for runs without one.
        question: Its question, in words; None without an ablation.
        key: The configuration key that is varied; None without an ablation.
        values: The values that have runs, in the ablation's own order; the baseline stands where it stands there.
        baseline: The baseline value.
        metrics: The metrics that were measured, in the ablation's order.
        settings: Columns in which configurations differ in more than the value; empty for a plain ablation.
        configurations: Baselines first, then in the order of `values`.
        comparisons: One for each configuration and metric, ordered by configuration, then metric.
        unfinished: The same for configurations none of whose runs finished: they have no runs here and no numbers.
        answer: The verdict in words, a few sentences of plain text.
        notes: What weakens all of it, one sentence each.
    """

    name: str | None
    question: str | None
    key: str | None
    values: tuple[Cell, ...]
    baseline: Cell
    metrics: tuple[str, ...]
    settings: tuple[str, ...]
    configurations: tuple[Configuration, ...]
    comparisons: tuple[Comparison, ...]
    unfinished: tuple[Comparison, ...] = ()
    answer: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def of(self, metric: str) -> tuple[Comparison, ...]:
        """Return the comparisons in one metric, in the order of `configurations`."""
        return tuple(one for one in self.comparisons if one.metric == metric)

    def rows(self, metric: str) -> tuple[Comparison, ...]:
        """Return a table's rows in one metric: those comparisons, then what has no finished run."""
        return (*self.of(metric), *(one for one in self.unfinished if one.metric == metric))


@dataclass(frozen=True)
class Report:
    """All that tables, pictures and the page show.

    Attributes:
        loaded: What was read.
        ablations: One report for each ablation, in the order of the runs.
    """

    loaded: Loaded
    ablations: tuple[AblationReport, ...] = field(default_factory=tuple)
