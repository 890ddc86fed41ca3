"""Successful runs as a comparison needs them: their numbers, and their items when they are asked for."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import pandas as pd

from ablate.report.configurations import cell
from ablate.report.items import Scores, read_scores
from ablate.report.loaded import Loaded
from ablate.report.verdict import Configuration
from ablate.results.record import RunRecord


@dataclass(frozen=True)
class Run:
    """One successful run, whose items are read when a metric needs them.

    Attributes:
        record: Its record.
        numbers: Its metrics, by column; None where one was not measured.
        scores: Reads its items.
    """

    record: RunRecord
    numbers: Mapping[str, float | None]
    scores: Callable[[], Mapping[tuple[str, str], Scores]]


class RunsByConfiguration:
    """The runs of an ablation, by configuration and seed; the items of one configuration are read at a time."""

    def __init__(self, loaded: Loaded, rows: pd.DataFrame, metrics: Sequence[str]) -> None:
        self._loaded = loaded
        self._rows = {row["run_id"]: row for row in rows[["run_id", *metrics]].to_dict("records")}
        self._metrics = metrics
        self._records = {str(record.row["run_id"]): record for record in loaded.records}

    def of(self, configuration: Configuration) -> dict[int, Run]:
        """Return the runs by seed; their items are kept as long as these are."""
        return {
            seed: self._run(run_id)
            for seed, run_id in zip(configuration.seeds, configuration.run_ids, strict=True)
        }

    def _run(self, run_id: str) -> Run:
        record, path = self._records[run_id], self._loaded.items_of(run_id)
        row = {metric: cell(self._rows[run_id][metric]) for metric in self._metrics}
        numbers = {metric: None if n is None else float(n) for metric, n in row.items()}
        return Run(record, numbers, cache(lambda: read_scores(path, record)))
