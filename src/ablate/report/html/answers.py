"""What runs answered beside what their baseline answered, read by column, one configuration at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ablate.report.figures.series import by_settings
from ablate.report.loaded import Loaded
from ablate.report.verdict import AblationReport, Configuration
from ablate.statistics.crossed import Floats

_KEYS = ["task", "metric", "item_id"]
_ANSWERS = ["score", "prediction", "score_before", "prediction_before"]
Texts = NDArray[np.object_]


@dataclass(frozen=True)
class Items:
    """What does not depend on the run.

    Attributes:
        rows: One row per item of each task and metric; the columns task, metric, item_id, kind, cluster_id, answer.
        keys: The first three of them, as they are on disk.
        config_file: config.yaml of the run that they were read from.
    """

    rows: pd.DataFrame
    keys: pa.Table
    config_file: Path

    def are(self, other: "Items") -> bool:
        """Tell whether these are the same items, in the same order and with the same correct answers."""
        if self is other:
            return True
        return self.keys.equals(other.keys) and self.rows["answer"].equals(other.rows["answer"])


@dataclass(frozen=True)
class Pair:
    """A configuration beside its baseline, over the seeds that both have; or beside the model it started from.

    Attributes:
        configuration: The configuration.
        items: The items.
        scores: `[seeds, items]`, NaN where a run lacks the item.
        base_scores: The same of what it is compared with.
        predictions: What the runs answered, `[seeds, items]`; None where nothing could be read.
        base_predictions: The same of what it is compared with.
    """

    configuration: Configuration
    items: Items
    scores: Floats
    base_scores: Floats
    predictions: Texts
    base_predictions: Texts


@dataclass(frozen=True)
class _Run:
    scores: Floats
    predictions: Texts
    scores_before: Floats
    predictions_before: Texts


def pairs_of(ablation: AblationReport, loaded: Loaded) -> Iterator[Pair]:
    """Yield every configuration but the baselines.

    Runs whose items are missing or damaged are left out. One configuration and its baseline are in memory.

    Args:
        ablation: Whose configurations.
        loaded: Where the runs are.
    """
    for configurations in by_settings(ablation):
        base = next((one for one in configurations if one.is_baseline), None)
        others = [one for one in configurations if one is not base]
        items: Items | None = None
        base_runs: dict[int, _Run] | None = None
        if base is not None and others:
            items, base_runs = _read(base, loaded, None, base.seeds)
        for one in others:
            wanted = one.seeds if base_runs is None else tuple(base_runs)
            items, runs = _read(one, loaded, items, wanted)
            if items is not None and runs:
                yield _pair(one, items, runs, base_runs)


def shown_answer(prediction: object) -> str:
    """Return a prediction as text, also where none could be read."""
    return prediction if isinstance(prediction, str) else "(none)"


def _pair(
    configuration: Configuration,
    items: Items,
    runs: dict[int, _Run],
    base_runs: dict[int, _Run] | None,
) -> Pair:
    seeds = sorted(runs)
    own = [runs[seed] for seed in seeds]
    base = own if base_runs is None else [base_runs[seed] for seed in seeds]
    is_before = base_runs is None
    return Pair(
        configuration,
        items,
        np.stack([run.scores for run in own]),
        np.stack([run.scores_before if is_before else run.scores for run in base]),
        np.stack([run.predictions for run in own]),
        np.stack([run.predictions_before if is_before else run.predictions for run in base]),
    )


def _read(
    configuration: Configuration, loaded: Loaded, items: Items | None, wanted: Sequence[int]
) -> tuple[Items | None, dict[int, _Run]]:
    """Read the runs of the wanted seeds; the first run of all says which items there are."""
    runs = {}
    for run_id, seed in zip(configuration.run_ids, configuration.seeds, strict=True):
        if seed not in wanted:
            continue
        file = loaded.items_of(run_id)
        try:
            items = items or _items(file)
            runs[seed] = _run(file, items)
        except (OSError, pa.ArrowException, KeyError, ValueError, pd.errors.InvalidIndexError):
            continue
    return items, runs


def _items(file: Path) -> Items:
    table = pq.ParquetFile(file).read([*_KEYS, "kind", "cluster_id", "answer"], use_threads=False)
    return Items(table.to_pandas(), table.select(_KEYS), file.with_name("config.yaml"))


def _run(file: Path, items: Items) -> _Run:
    table = pq.ParquetFile(file).read([*_KEYS, *_ANSWERS], use_threads=False)
    keys = table.select(_KEYS)
    if not keys.equals(items.keys):
        found, known = (pd.MultiIndex.from_frame(one.to_pandas()) for one in (keys, items.keys))
        places = found.get_indexer(known)
        table = table.take(pa.array(places, mask=places < 0))
    score, prediction, score_before, prediction_before = (table[n].to_numpy() for n in _ANSWERS)
    return _Run(
        score.astype(np.float64),
        prediction.astype(object),
        score_before.astype(np.float64),
        prediction_before.astype(object),
    )
