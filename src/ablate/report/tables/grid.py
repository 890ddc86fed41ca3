"""What every table shows, as text that its output still has to escape."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from ablate.report.configurations import context_of
from ablate.report.numbers import interval, number, p_value, seeds, shown, with_sd
from ablate.report.verdict import AblationReport, Comparison, Verdict
from ablate.results.record import same_value

_COMPARED = ("difference", "95 % interval", "p (Holm)", "verdict")
DIFFERENCE = "difference"


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Attributes:
        cells: One text for each column.
        verdict: What came of it; None where nothing is compared.
    """

    cells: tuple[str, ...]
    verdict: Verdict | None = None

    @property
    def holds(self) -> bool:
        """Whether the difference holds, so that it may stand out."""
        return self.verdict in ("better", "worse", "different")


@dataclass(frozen=True)
class Grid:
    """A table in sections, one for each metric; without an ablation there is one section, and a column a metric.

    Attributes:
        name: Name of the ablation, if it is one.
        question: Its question.
        header: Names of the columns.
        n_left: How many columns hold text and are aligned to the left.
        sections: Rows by the section's heading; an empty heading is none.
        legend: What the numbers are.
    """

    name: str | None
    question: str | None
    header: tuple[str, ...]
    n_left: int
    sections: tuple[tuple[str, tuple[Row, ...]], ...]
    legend: str


def grid_of(reports: Sequence[tuple[str | None, AblationReport]]) -> Grid:
    """Lay out one ablation, or the same ablation of several folders side by side.

    Args:
        reports: The reports, each with what its rows are called; None for a single one.
    """
    first = reports[0][1]
    labels = () if reports[0][0] is None else ("folder",)
    settings = tuple(dict.fromkeys(name for _, report in reports for name in report.settings))
    if first.key is None:
        return _plain(reports, labels, settings)
    left = (first.key, *labels, *settings)
    metrics = dict.fromkeys(metric for _, report in reports for metric in report.metrics)
    sections = tuple((metric, _rows(reports, metric, settings)) for metric in metrics)
    legend = (
        "Mean ± standard deviation over seeds; difference to the baseline with its 95 % interval; "
        "p corrected by Holm over the values."
    )
    header = (*left, "seeds", "mean ± sd", *_COMPARED)
    return Grid(first.name, first.question, header, len(left), sections, legend)


def _rows(
    reports: Sequence[tuple[str | None, AblationReport]], metric: str, settings: Sequence[str]
) -> tuple[Row, ...]:
    """Return a metric's rows; side by side, the folders of one value follow each other."""
    found = [
        (position, label, one)
        for label, report in reports
        for position, one in enumerate(report.rows(metric))
    ]
    if len(reports) > 1:
        order: dict[Hashable, int] = {}
        for _, _, one in found:
            order.setdefault(_place(one), len(order))
        found.sort(key=lambda entry: order[_place(entry[2])])
    return tuple(_row(label, one, settings) for _, label, one in found)


def _place(one: Comparison) -> Hashable:
    return same_value(one.value), context_of(one.configuration)


def _row(label: str | None, one: Comparison, settings: Sequence[str]) -> Row:
    is_tested = not one.is_baseline
    cells = (
        shown(one.value),
        *(() if label is None else (label,)),
        *(shown(one.settings.get(name)) for name in settings),
        seeds(one),
        with_sd(one),
        number(one.metric, one.difference, signed=True) if is_tested else "",
        interval(one),
        p_value(one.p_holm) if is_tested else "",
        _verdict(one),
    )
    return Row(cells, one.verdict)


def _verdict(one: Comparison) -> str:
    """Return the verdict; equivalence says within what, as an experiment with much noise has a wide margin."""
    if one.verdict == "equivalent" and one.low is not None:
        return f"equivalent within {number(one.metric, one.margin)}"
    return one.verdict


def _plain(
    reports: Sequence[tuple[str | None, AblationReport]],
    labels: tuple[str, ...],
    settings: tuple[str, ...],
) -> Grid:
    metrics = tuple(dict.fromkeys(metric for _, report in reports for metric in report.metrics))
    rows = []
    for label, report in reports:
        for configuration in report.configurations:
            own = {
                one.metric: one for one in report.comparisons if one.configuration is configuration
            }
            cells = (
                *(() if label is None else (label,)),
                *(shown(configuration.settings.get(name)) for name in settings),
                str(len(configuration.seeds)),
                *(with_sd(own[metric]) if metric in own else "" for metric in metrics),
            )
            rows.append(Row(cells))
    left = (*labels, *settings)
    legend = "Mean ± standard deviation over seeds."
    header = (*left, "runs", *metrics)
    return Grid(reports[0][1].name, None, header, len(left), (("", tuple(rows)),), legend)
