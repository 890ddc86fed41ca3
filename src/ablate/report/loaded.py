"""What a report is made of: the runs of one folder, or of several that belong together."""

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from ablate.results.record import AblationRecord, RunRecord


@dataclass(frozen=True)
class Loaded:
    """Everything that was read, in memory; items stay on disk until a comparison needs them.

    Attributes:
        folders: The sweep folders, `outputs/<name>`, as they were given.
        records: Every run that can be read, each run id once, ordered by ablation, value and seed.
        places: Each run's own folder, by run id.
        results: The rows of results.csv, in the order of `records`; empty cells are None or NaN.
        tasks: The rows of tasks.csv.
        sessions: The rows of sessions.csv.
        stable_tasks: The rows of stable_tasks.csv.
        ablations: What is known of each ablation that the runs belong to, by name.
        damaged: Why a run cannot be read, by run id.
        notes: What else a reader has to know of the reading, one line each: a run that two folders have, say.
    """

    folders: tuple[Path, ...]
    records: tuple[RunRecord, ...]
    places: dict[str, Path]
    results: pd.DataFrame
    tasks: pd.DataFrame
    sessions: pd.DataFrame
    stable_tasks: pd.DataFrame
    ablations: dict[str, AblationRecord]
    damaged: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def finished(self) -> pd.DataFrame:
        """The rows of `results` whose status is ok."""
        return self.results[self.results["status"] == "ok"]

    @property
    def failed(self) -> pd.DataFrame:
        """The rows of `results` of any other status."""
        return self.results[self.results["status"] != "ok"]

    def items_of(self, run_id: str) -> Path:
        """Return where a run's items.parquet is, or would be."""
        return self.places[run_id] / "items.parquet"
