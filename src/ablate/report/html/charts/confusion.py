"""What is taken for what: a confusion matrix for each configuration, chosen from a list."""

from collections import Counter
from collections.abc import Sequence

import altair as alt

from ablate.report.html.changes import Confusion
from ablate.report.html.charts.base import Chart, Row, Rows, distinct, tooltips

_MOST_CLASSES = 20
_CELL_PX = 24
_OTHER = "(other)"


def confusion_chart(confusions: Sequence[Confusion]) -> Chart | None:
    """Draw the share of each answer among an item's answers, for one task.

    Args:
        confusions: The configurations of one task; the first is what the others are compared with.
    """
    classes = _classes(confusions)
    if len(confusions) < 2 or len(classes) < 2:
        return None
    rows_of = Rows()
    labels = dict(zip(classes, distinct(classes), strict=True))
    names = distinct([one.name for one in confusions])
    shares = [_shares(one, labels) for one in confusions]
    rows: list[Row] = [
        {
            "configuration": name,
            "answer": answer,
            "prediction": prediction,
            "share": share,
            "before": shares[0].get((answer, prediction), 0.0),
            "dark": share > 0.5,
        }
        for name, own in zip(names, shares, strict=True)
        for (answer, prediction), share in own.items()
    ]
    chosen = alt.param(
        name="configuration",
        value=names[1],
        bind=alt.binding_select(options=names, name="configuration "),
    )
    answers = list(labels.values())
    predictions = (
        [*answers, _OTHER] if any(row["prediction"] == _OTHER for row in rows) else answers
    )
    x = alt.X(
        "prediction:N",
        scale=alt.Scale(domain=predictions),
        axis=alt.Axis(title="answered", labelAngle=-45, labelLimit=90, grid=False, orient="top"),
    )
    y = alt.Y(
        "answer:N",
        scale=alt.Scale(domain=answers),
        axis=alt.Axis(title="correct answer", labelLimit=90, grid=False),
    )
    told = tooltips(
        {
            "answer:N": "correct answer",
            "prediction:N": "answered",
            "share:Q": "share",
            "before:Q": names[0],
        },
        ".1%",
    )
    cells = (
        alt.Chart(rows_of.add(rows))
        .transform_filter("datum.configuration == configuration")
        .encode(x, y, tooltip=told)
    )
    scale = alt.Scale(scheme="blues", domain=[0, 1])
    text = alt.condition("datum.dark", alt.value("white"), alt.value("#222222"))
    drawn = (
        alt.layer(
            cells.mark_rect().encode(alt.Color("share:Q", scale=scale, legend=None)),
            cells.mark_text(fontSize=9).encode(alt.Text("share:Q", format=".0%"), color=text),
        )
        .add_params(chosen)
        .properties(width="container", height=_CELL_PX * len(answers))
    )
    cut = (
        f" The {len(classes)} classes with the most mistakes."
        if _n_classes(confusions) > len(classes)
        else ""
    )
    note = f"Shares of the answers to items of one correct answer; beside the pointer also those of {names[0]}.{cut}"
    return rows_of.chart(
        f"what is taken for what: {distinct([confusions[0].task])[0]}", note, drawn
    )


def _n_classes(confusions: Sequence[Confusion]) -> int:
    return len({answer for one in confusions for answer, _ in one.counts})


def _classes(confusions: Sequence[Confusion]) -> list[str]:
    """Return the correct answers, those with the most mistakes where there are too many, in a fixed order."""
    mistakes: Counter[str] = Counter()
    for one in confusions:
        for (answer, prediction), n in one.counts.items():
            mistakes[answer] += n if prediction != answer else 0
    return sorted(answer for answer, _ in mistakes.most_common(_MOST_CLASSES))


def _shares(confusion: Confusion, labels: dict[str, str]) -> dict[tuple[str, str], float]:
    """Return the share of each prediction among the answers to items of each class."""
    totals: Counter[str] = Counter()
    counts: Counter[tuple[str, str]] = Counter()
    for (answer, prediction), n in confusion.counts.items():
        if answer in labels:
            totals[labels[answer]] += n
            counts[labels[answer], labels.get(prediction, _OTHER)] += n
    # What never happened is a cell, too: none is left out but those of answers that no item has.
    everything = {(answer, prediction): 0 for answer in totals for prediction in labels.values()}
    return {key: n / totals[key[0]] for key, n in (everything | counts).items()}
