"""What the page shows of a report, in the shapes that its template writes out."""

from collections.abc import Iterator
from dataclasses import dataclass

from ablate.report.figures import against
from ablate.report.figures.heat import grid_of
from ablate.report.figures.series import key_words, names_of
from ablate.report.figures.sessions import session_curves
from ablate.report.figures.task_differences import task_differences
from ablate.report.figures.tradeoff import marks_of, tradeoffs
from ablate.report.html.changed_items import ChangedItem
from ablate.report.html.changes import Changes, changes_of
from ablate.report.html.charts.base import Chart
from ablate.report.html.charts.confusion import confusion_chart
from ablate.report.html.charts.cost import STAGES, cost_chart
from ablate.report.html.charts.metric import grid_chart, metric_chart
from ablate.report.html.charts.tasks import forest_chart, sessions_chart
from ablate.report.html.charts.tradeoff import tradeoff_chart
from ablate.report.html.thumbnails import Thumbnails
from ablate.report.loaded import Loaded
from ablate.report.numbers import name_of
from ablate.report.verdict import AblationReport, Comparison, Report
from ablate.results.record import Cell

_MOST_CONFUSIONS = 4


@dataclass(frozen=True)
class Item:
    """A changed item with its image.

    Attributes:
        about: The item.
        image: Its thumbnail as a `data:` URL; None where it has none or the data are not at hand.
    """

    about: ChangedItem
    image: str | None


@dataclass(frozen=True)
class TaskRow:
    """One metric of one task over all of an ablation's runs.

    Attributes:
        task: Name of the task.
        kind: What it is for.
        metric: Name of the metric.
        n: Items, the most that a run has.
        chance: What guessing scores.
        before: Mean of the base model; None where it was not evaluated.
        low: Lowest mean of a configuration.
        high: Highest mean of a configuration.
    """

    task: str
    kind: str
    metric: str
    n: int
    chance: float | None
    before: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Section:
    """Everything the page says of one ablation.

    Attributes:
        report: What was compared.
        against: What configurations are compared with where items and tasks are, in words.
        rows: Name of each configuration beside its comparisons.
        charts: Pictures of metrics and trade-offs.
        task_charts: Pictures by task and session.
        confusions: Pictures of what is taken for what.
        n_more_confusions: Tasks that have none, for want of room.
        changes: What changed.
        items: The items that changed most.
        tasks: The tasks.
        stability: Rows of stable_tasks.csv.
        cost: Picture of the cost by stage.
    """

    report: AblationReport
    against: str
    rows: list[tuple[str, Comparison]]
    charts: list[Chart]
    task_charts: list[Chart]
    confusions: list[Chart]
    n_more_confusions: int
    changes: Changes
    items: list[Item]
    tasks: list[TaskRow]
    stability: list[dict[str, Cell]]
    cost: Chart | None


def section_of(ablation: AblationReport, report: Report) -> Section:
    """Collect what the page says of one ablation; items are read, one configuration at a time."""
    loaded = report.loaded
    names = names_of(ablation)
    compared = against(ablation)
    changes = changes_of(ablation, loaded, compared)
    images = {item.config_file: Thumbnails(item.config_file) for item in changes.items}
    return Section(
        ablation,
        compared,
        [
            *((names[one.configuration.run_ids], one) for one in ablation.comparisons),
            *((name_of(one), one) for one in ablation.unfinished),
        ],
        list(_charts(ablation, loaded)),
        list(_task_charts(ablation, loaded, compared)),
        list(_confusions(changes)),
        max(0, len({one.task for one in changes.confusions}) - _MOST_CONFUSIONS),
        changes,
        [Item(one, images[one.config_file].of(one.task, one.cluster_id)) for one in changes.items],
        _tasks(ablation, loaded),
        _stability(ablation, loaded),
        _cost(ablation, loaded, names),
    )


def _charts(ablation: AblationReport, loaded: Loaded) -> Iterator[Chart]:
    grid = grid_of(ablation)
    for metric in ablation.metrics:
        drawn = [metric_chart(ablation, metric)]
        drawn += [grid_chart(ablation, metric, grid)] if grid is not None else []
        yield from (chart for chart in drawn if chart is not None)
    results = loaded.finished.set_index("run_id")
    for what in tradeoffs(results):
        chart = tradeoff_chart(marks_of(ablation, results, what), what)
        if chart is not None:
            yield chart


def _task_charts(ablation: AblationReport, loaded: Loaded, compared: str) -> Iterator[Chart]:
    forest = forest_chart(*task_differences(ablation, loaded), compared)
    if forest is not None:
        yield forest
    yield from sessions_chart(session_curves(ablation, loaded.sessions), key_words(ablation.key))


def _confusions(changes: Changes) -> Iterator[Chart]:
    tasks = list(dict.fromkeys(one.task for one in changes.confusions))
    for task in tasks[:_MOST_CONFUSIONS]:
        chart = confusion_chart([one for one in changes.confusions if one.task == task])
        if chart is not None:
            yield chart


def _tasks(ablation: AblationReport, loaded: Loaded) -> list[TaskRow]:
    configuration_of = {
        run_id: number
        for number, one in enumerate(ablation.configurations)
        for run_id in one.run_ids
    }
    own = loaded.tasks[loaded.tasks["run_id"].isin(configuration_of)]
    own = own.assign(configuration=own["run_id"].map(configuration_of))
    rows = []
    for (task, kind, metric), part in own.groupby(["task", "kind", "metric"], sort=False):
        means = part.groupby("configuration")["value"].mean()
        rows.append(
            TaskRow(
                str(task),
                str(kind),
                str(metric),
                int(part["n"].max()),
                _number(part["chance"].iloc[0]),
                _number(part["value_before"].mean()),
                _number(means.min()),
                _number(means.max()),
            )
        )
    return rows


def _stability(ablation: AblationReport, loaded: Loaded) -> list[dict[str, Cell]]:
    own = loaded.stable_tasks[loaded.stable_tasks["ablation"].isin([ablation.name])]
    return [
        {str(key): _cell(value) for key, value in row.items()}
        for row in own.to_dict(orient="records")
    ]


def _cost(
    ablation: AblationReport, loaded: Loaded, names: dict[tuple[str, ...], str]
) -> Chart | None:
    columns = {f"{stage}_seconds": stage for stage in STAGES}
    called = {
        run_id: names[one.run_ids] for one in ablation.configurations for run_id in one.run_ids
    }
    rows = loaded.finished.assign(name=loaded.finished["run_id"].map(called)).dropna(subset="name")
    means = rows.groupby("name", sort=False)[list(columns)].mean()
    order = [names[one.run_ids] for one in ablation.configurations]
    return cost_chart(means.rename(columns=columns).reindex(order).reset_index())


def _number(value: object) -> float | None:
    """Return a cell as a number; an empty one is None."""
    return float(value) if isinstance(value, int | float) and value == value else None


def _cell(value: object) -> Cell:
    if value is None or value != value:
        return None
    return value if isinstance(value, bool | int | float | str) else str(value)
