"""TensorBoard's event files, one folder for every run."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ablate.config.schema.trackers import TensorboardTracker
from ablate.trackers.base import Facts, Outcome, Tracker

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class Tensorboard(Tracker):
    """Numbers are scalars; what determines them is in the table of hyper-parameters."""

    def __init__(self, config: TensorboardTracker) -> None:
        """Keep where to write."""
        self._config = config
        self._writer: SummaryWriter

    def start(self, run: Facts) -> None:
        """Begin a run; what an earlier try left under its name is removed: its curves would run into the new ones."""
        from torch.utils.tensorboard import SummaryWriter

        folder = Path(self._config.folder) / run.run_id
        for old in folder.glob("events.out.tfevents.*"):
            old.unlink()
        self._writer = SummaryWriter(str(folder))
        self._values = {
            "group": run.group,
            **{key: value for key, value in run.values.items() if value is not None},
        }

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """Add a point to each curve."""
        for name, value in numbers.items():
            self._writer.add_scalar(name, value, step)

    def finish(self, outcome: Outcome) -> None:
        """Add the row of hyper-parameters and metrics, and close the file."""
        self._writer.add_text("status", outcome.status)
        if outcome.error is not None:
            self._writer.add_text("error", outcome.error)
        self._writer.add_hparams(self._values, dict(outcome.numbers), run_name=".")
        self._writer.close()
