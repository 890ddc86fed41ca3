"""Trackio, on this machine alone."""

import io
import os
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

from ablate.config.schema.trackers import TrackioTracker
from ablate.trackers.base import Facts, Outcome, Tracker

if TYPE_CHECKING:
    from trackio.run import Run

_FOLDER = "TRACKIO_DIR"


class Trackio(Tracker):
    """What it prints is not shown: it would tear a sweep's bars."""

    def __init__(self, config: TrackioTracker) -> None:
        """Keep where to write."""
        self._config = config
        self._run: Run

    def start(self, run: Facts) -> None:
        """Begin a run.

        Raises:
            RuntimeError: If this process has another folder already: trackio reads it once.
        """
        folder = Path(self._config.folder).absolute()
        os.environ.setdefault(_FOLDER, str(folder))
        import trackio

        if folder != trackio.utils.TRACKIO_DIR:
            raise RuntimeError(f"this process writes to {trackio.utils.TRACKIO_DIR} already")
        with redirect_stdout(io.StringIO()):
            self._run = trackio.init(
                project=self._config.project,
                name=run.run_id,
                group=run.group,
                config=dict(run.values),
                embed=False,
                auto_log_cpu=False,
                auto_log_gpu=False,
            )

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """Add to the run's history."""
        self._run.log(dict(numbers), step=step)

    def finish(self, outcome: Outcome) -> None:
        """Log the outcome, and end the run."""
        import trackio

        with redirect_stdout(io.StringIO()):
            self._run.log({"status": outcome.status, "error": outcome.error, **outcome.numbers})
            trackio.finish()
