"""The results of every item of a task: the rows of items.parquet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

# One type for every column, whichever tasks a run has: some score true or false, others fractions.
SCHEMA = pa.schema(
    {
        "task": pa.string(),
        "kind": pa.string(),
        "metric": pa.string(),
        "item_id": pa.string(),
        "cluster_id": pa.string(),
        "answer": pa.string(),
        "prediction": pa.string(),
        "text": pa.string(),
        "option_logprobs": pa.list_(pa.float64()),
        "score": pa.float64(),
        "prediction_before": pa.string(),
        "score_before": pa.float64(),
    }
)


@dataclass(frozen=True)
class ItemResult:
    """One item and what a model made of it.

    Attributes:
        id: Stable name of the item, unique within its task.
        cluster: What items that are not independent share: the image they are about, else the item itself.
        answer: The correct answer, in words.
        prediction: The model's answer; None when none could be read.
        score: Its score in 0..1; for most metrics 0 or 1.
        text: What the model wrote; None where options were scored.
        option_logprobs: Log-likelihood of every option, in the order of the options; empty where the model wrote.
    """

    id: str
    cluster: str
    answer: str
    prediction: str | None
    score: float
    text: str | None = None
    option_logprobs: tuple[float, ...] = ()


def item_result(values: Mapping[str, Any]) -> ItemResult:
    """Read an item's result from what `dataclasses.asdict` and JSON have made of it.

    Raises:
        KeyError, TypeError: If it is anything else.
    """
    return ItemResult(**{**values, "option_logprobs": tuple(values["option_logprobs"])})


def items_table(
    task: str,
    kind: str,
    metric: str,
    items: Sequence[ItemResult],
    before: Sequence[ItemResult] | None = None,
) -> pd.DataFrame:
    """Return one row per item, in the columns of `SCHEMA`.

    Args:
        task: Name of the task.
        kind: What the task is for.
        metric: Name of the metric.
        items: The items.
        before: The same items as answered by the base model; None where it was not evaluated.

    Raises:
        ValueError: If `before` lacks an item.
    """
    earlier = {item.id: item for item in before or ()}
    if before is not None and any(item.id not in earlier for item in items):
        raise ValueError(f"Task '{task}' has items that the base model was not evaluated on.")
    joined = [earlier.get(item.id) for item in items]
    columns = {
        "task": task,
        "kind": kind,
        "metric": metric,
        "item_id": [item.id for item in items],
        "cluster_id": [item.cluster for item in items],
        "answer": [item.answer for item in items],
        "prediction": [item.prediction for item in items],
        "text": [item.text for item in items],
        "option_logprobs": [list(item.option_logprobs) or None for item in items],
        "score": [float(item.score) for item in items],
        "prediction_before": [None if item is None else item.prediction for item in joined],
        "score_before": [None if item is None else float(item.score) for item in joined],
    }
    return pd.DataFrame(columns, columns=SCHEMA.names)


def write_items(table: pd.DataFrame, path: Path) -> None:
    """Write items.parquet.

    Raises:
        ArrowException: If a column does not hold what `SCHEMA` says.
    """
    pq.write_table(pa.Table.from_pandas(table, SCHEMA, preserve_index=False), path)
