"""Sweep folders as runs leave them, with the scores that a test wants."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd

from ablate.results.items import ItemResult, items_table
from ablate.results.record import AblationRecord, RunRecord, StableRules, SuiteRecord, TaskResult
from ablate.results.run_folder import RunFolder

RANK = AblationRecord(
    "rank", "Which rank?", "method.rank", [16, 8, 64], 8, ["accuracy", "control_change"], "a test"
)
SUITE = SuiteRecord(
    "small",
    {"vision": ["shape", "count"], "text": ["recall"]},
    {"vision": "auto", "text": ["recall"]},
    StableRules(noise_multiple=2.0, negligible_noise=1.0, largest_noise_share=0.5),
)
N = 200
ITEMS = tuple(f"item-{n}" for n in range(N))


def task(
    name, kind, score, before=None, metric="accuracy", chance=0.2, ids=ITEMS, clusters=None
) -> tuple[TaskResult, pd.DataFrame]:
    """One task of a run: its row of tasks.csv and its items, which score as given."""

    def items(scores):
        return [
            ItemResult(i, c, f"answer to {i}", "something", float(s))
            for i, c, s in zip(ids, clusters or ids, scores, strict=True)
        ]

    earlier = None if before is None else float(np.mean(before))
    row = TaskResult(name, kind, metric, float(np.mean(score)), earlier, chance, len(score), 0.02)
    old = None if before is None else items(before)
    return row, items_table(name, kind, metric, items(score), old)


def finished(
    sweep: Path,
    value,
    seed=0,
    tasks=(),
    ablation=RANK,
    suite=None,
    config=None,
    overrides=None,
    **columns,
) -> RunFolder:
    """A successful run of `value`, whose columns follow from its tasks unless they are given."""
    config_id = f"{value}" if config is None else config
    folder = RunFolder(sweep, f"run-{config_id}-seed{seed}")
    row = {
        "run_id": folder.run_id,
        "seed": seed,
        "status": "ok",
        "config_id": config_id,
        "finished_at": "2026-01-01T00:00:00+00:00",
        "method": "lorsu",
        **_numbers([one for one, _ in tasks]),
        **columns,
    }
    if ablation is not None:
        row |= {"ablation": ablation.name, "axis": ablation.key, "value": value}
    record = RunRecord(
        row,
        [one for one, _ in tasks],
        digest=f"{config_id} {seed}",
        suite=suite,
        ablation=ablation,
        overrides=overrides or {},
    )
    items = pd.concat([one for _, one in tasks], ignore_index=True) if tasks else None
    with folder.owned(wait=True):
        folder.begin({}, dataclasses.replace(record, row={**row, "status": "interrupted"}))
        folder.finish(record, items)
    return folder


def right(share: float, seed: int, n: int = N) -> np.ndarray:
    """Items of which about a share is right: which ones, a seed decides."""
    return (np.random.default_rng(seed).random(n) < share).astype(float)


def _numbers(tasks) -> dict[str, float]:
    found = {}
    changes = []
    for one in tasks:
        if one.kind == "target":
            found |= {"accuracy": one.value, "n_items": one.n}
            if one.value_before is not None:
                found |= {
                    "accuracy_before": one.value_before,
                    "target_improvement": one.value - one.value_before,
                }
        elif one.kind == "control":
            changes.append(one.value - one.value_before)
    return found | ({"control_change": float(np.mean(changes))} if changes else {})
