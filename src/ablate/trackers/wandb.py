"""Weights & Biases: the numbers alone, without code, git patch, console output or facts of the machine."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ablate.config.schema.trackers import WandbTracker
from ablate.trackers.base import Facts, Outcome, Tracker

if TYPE_CHECKING:
    import wandb

_LONGEST_TAG = 64
_LONGEST_GROUP = 128


class Wandb(Tracker):
    """A run of its own for every try: numbers are never added to those of an earlier one."""

    def __init__(self, config: WandbTracker) -> None:
        """Keep where to write."""
        self._config = config
        self._run: wandb.Run

    def start(self, run: Facts) -> None:
        """Begin a run."""
        # It would report its own errors to its makers.
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        import wandb

        config = self._config
        Path(config.folder).mkdir(parents=True, exist_ok=True)
        self._run = wandb.init(
            project=config.project,
            entity=config.entity,
            name=run.run_id,
            group=run.group[:_LONGEST_GROUP],
            tags=[tag[:_LONGEST_TAG] for tag in run.tags],
            config=dict(run.values),
            mode=config.mode,
            dir=config.folder,
            reinit="create_new",
            settings=wandb.Settings(
                console="off",
                disable_code=True,
                disable_git=True,
                disable_job_creation=True,
                host="",
                save_code=False,
                silent=True,
                x_disable_machine_info=True,
                x_disable_meta=True,
                x_disable_stats=True,
                x_save_requirements=False,
            ),
        )

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """Add to the run's history."""
        self._run.log(dict(numbers), step=step)

    def finish(self, outcome: Outcome) -> None:
        """Fill in the run's summary."""
        self._run.summary.update(
            {"status": outcome.status, "error": outcome.error, **outcome.numbers}
        )
        self._run.finish(exit_code=0 if outcome.status == "ok" else 1)
