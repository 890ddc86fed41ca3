"""Scores of a run's items, read by column: what the tests stand on."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ablate.results.record import Cell, RunRecord
from ablate.statistics.crossed import Floats

_COLUMNS = ["task", "metric", "item_id", "cluster_id", "answer", "score", "score_before"]
_F1 = "f1"


class UnusableItemsError(ValueError):
    """Items that cannot be compared; its text says why, as the end of a sentence."""


@dataclass(frozen=True)
class Scores:
    """One metric of one task, item by item.

    Attributes:
        ids: What makes two items the same: id, cluster and correct answer; three columns.
        after: Score of every item.
        before: The same of the base model; NaN where it was not evaluated.
    """

    ids: pa.Table
    after: Floats
    before: Floats

    def ordered_like(self, other: "Scores") -> "Scores":
        """Return the items in another run's order.

        Raises:
            UnusableItemsError: If they are not the same items.
        """
        if self.ids.equals(other.ids):
            return self
        own, wanted = (
            {key: position for position, key in enumerate(_keys(one.ids))} for one in (self, other)
        )
        n_shared = len(own.keys() & wanted.keys())
        if len(own) < len(self.after) or len(wanted) < len(other.after):
            raise UnusableItemsError("items share an id")
        if n_shared < max(len(own), len(wanted)):
            raise UnusableItemsError(
                f"the items differ: {n_shared} of {max(len(own), len(wanted))} are the same"
            )
        order = np.array([own[key] for key in wanted])
        return Scores(other.ids, self.after[order], self.before[order])

    def clusters(self) -> NDArray[np.int64]:
        """Number the clusters from 0."""
        codes = pc.dictionary_encode(self.ids["cluster_id"].combine_chunks()).indices
        return np.asarray(codes.to_numpy(zero_copy_only=False), dtype=np.int64)


def read_scores(path: Path, record: RunRecord) -> Mapping[tuple[str, str], Scores]:
    """Read a run's items.parquet, without what the items say.

    F1 is no mean over items; its items get the values whose mean it is: F1 + (hit - F1 weight) / mean weight.

    Args:
        path: The file.
        record: The run's record; it knows the positive answer of a task measured in F1.

    Returns:
        Scores by task and metric.

    Raises:
        UnusableItemsError: If the file is missing or not what ablate writes.
    """
    with_f1 = any(task.metric == _F1 for task in record.tasks)
    columns = [*_COLUMNS, *(["prediction"] if with_f1 else [])]
    try:
        with pq.ParquetFile(path, read_dictionary=["task", "metric"]) as file:
            table = file.read(columns, use_threads=False).combine_chunks()
        return {
            (task, metric): _scores(rows, metric, record.settings.get(_positive(task), "yes"))
            for (task, metric), rows in _parts(table).items()
        }
    except FileNotFoundError as error:
        raise UnusableItemsError(f"items.parquet of {path.parent.name} is missing") from error
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        raise UnusableItemsError(f"items.parquet of {path.parent.name} is damaged") from error


def _positive(task: str) -> str:
    return f"tasks.tasks.{task}.positive"


def _scores(rows: pa.Table, metric: str, positive: Cell) -> Scores:
    after, before = (_numbers(rows[name]) for name in ("score", "score_before"))
    if metric == _F1:
        after, before = _linearised(rows, positive), np.full(len(rows), np.nan)
    return Scores(rows.select(["item_id", "cluster_id", "answer"]), after, before)


def _parts(table: pa.Table) -> dict[tuple[str, str], pa.Table]:
    """Cut a table where task or metric change: a run writes the items of each together."""
    task, metric = (
        table[name].chunk(0) if table[name].num_chunks else None for name in ("task", "metric")
    )
    if task is None or metric is None:
        return {}
    codes = np.stack([np.asarray(one.indices) for one in (task, metric)])
    cuts = np.flatnonzero((np.diff(codes, axis=1) != 0).any(axis=0)) + 1
    parts: dict[tuple[str, str], list[pa.Table]] = {}
    for start, stop in zip([0, *cuts], [*cuts, len(table)], strict=True):
        if stop > start:
            key = str(task[int(start)]), str(metric[int(start)])
            parts.setdefault(key, []).append(table.slice(start, stop - start))
    return {key: pa.concat_tables(those) for key, those in parts.items()}


def _numbers(column: pa.ChunkedArray) -> Floats:
    return np.asarray(column.to_numpy(), dtype=np.float64)


def _keys(ids: pa.Table) -> list[tuple[str, ...]]:
    return list(zip(*(ids[name].to_pylist() for name in ids.column_names), strict=True))


def _linearised(rows: pa.Table, positive: Cell) -> Floats:
    said, true = (
        np.array([word == positive for word in rows[name].to_pylist()], dtype=np.float64)
        for name in ("prediction", "answer")
    )
    hits, weights = 2 * said * true, said + true
    if not weights.any():
        return np.full(len(said), np.nan)
    value = hits.sum() / weights.sum()
    return np.asarray(value + (hits - value * weights) / weights.mean())
