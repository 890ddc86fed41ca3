"""Whether an axis value had an effect: a row that only repeats another would be read as a finding."""

import hashlib
from pathlib import Path

import pandas as pd

from ablate.config.schema import RunConfig
from ablate.results.run_folder import RunFolder
from ablate.results.tables import read_runs


class NoEffectError(ValueError):
    """Two values of an axis gave the same update and the same answers, bit for bit."""


def outcome_digest(adapter: Path, items: pd.DataFrame) -> str:
    """Hash what a run found: its trained update, if it has one, and every prediction."""
    digest = hashlib.sha256(adapter.read_bytes() if adapter.exists() else b"")
    answers = items[["task", "metric", "item_id", "prediction"]]
    digest.update(answers.to_csv(index=False).encode())
    return digest.hexdigest()


def check_effect(config: RunConfig, folder: RunFolder, digest: str) -> None:
    """Compare a run with those of the same ablation and seed that have another value.

    Raises:
        NoEffectError: If one of them has the same update and answers.
    """
    if config.ablation is None:
        return
    for record in read_runs(folder.sweep_path).records:
        row = record.row
        if record.status != "ok":
            continue
        same_axis = (row.get("ablation"), row.get("axis"), row["seed"]) == (
            config.ablation.name,
            config.ablation.key,
            config.seed,
        )
        if same_axis and row["value"] != config.ablation.value and record.digest == digest:
            raise NoEffectError(
                f"{config.ablation.key}={config.ablation.value} has no effect: the trained update "
                f"and every answer equal those of {config.ablation.key}={row['value']}"
            )
