"""A sweep on a terminal while it runs: how much is left, and the table of what is done."""

import logging
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ablate.report.compare import report_of
from ablate.report.load import load
from ablate.report.publish import about
from ablate.report.tables.terminal import rendered, whole
from ablate.results.record import DamagedRecordError
from ablate.runner.prepare import PreparedRun
from ablate.runner.record import new_record
from ablate.sweep.remaining import seconds_left
from ablate.telemetry.progress import SweepDisplay, sweep_display

log = logging.getLogger(__name__)

# The table is made again once this many times as long has passed as it took: a twentieth of the time at most.
_REST = 20.0


class LiveSweep:
    """Keeps what is shown of a sweep up to date, run by run."""

    def __init__(self, display: SweepDisplay | None, runs: Sequence[PreparedRun]) -> None:
        self._display = display
        self._waiting = {run.folder.path: new_record(run).config_id for run in runs}
        self._folders = {run.folder.path: run.folder.sweep_path for run in runs}
        self._done: dict[str | None, list[float]] = {}
        self._next_table = 0.0

    @classmethod
    @contextmanager
    def of(cls, label: str, runs: Sequence[PreparedRun]) -> "Iterator[LiveSweep]":
        """Show a sweep for the length of the block.

        Args:
            label: What the bar says.
            runs: The runs to make.
        """
        with sweep_display(label, len(runs)) as display:
            yield cls(display, runs if display else [])

    def ended(self, run: PreparedRun) -> None:
        """Count a run that has ended, however it did."""
        if self._display is None:
            return
        config_id = self._waiting.pop(run.folder.path, None)
        if (seconds := _seconds(run)) is not None:
            self._done.setdefault(config_id, []).append(seconds)
        self._display.advance(seconds_left(list(self._waiting.values()), self._done))
        started = time.monotonic()
        if started >= self._next_table:
            self._next_table = math.inf
            try:
                self._show_table(run.folder.sweep_path)
            except Exception:  # whatever it is, the sweep goes on; its end makes the table again
                log.exception("the table could not be shown")
                return
            now = time.monotonic()
            self._next_table = now + _REST * (now - started)

    def _show_table(self, folder: Path) -> None:
        own = [path.name for path, sweep in self._folders.items() if sweep == folder]
        report = about(report_of(load([folder])), own)
        if self._display is not None and report.ablations:
            self._display.show(whole(rendered(report, with_words=False)))


def _seconds(run: PreparedRun) -> float | None:
    """Return how long a successful run took."""
    try:
        record = run.folder.read()
    except DamagedRecordError:
        return None
    if record is None or record.status != "ok":
        return None
    stages = [value for key, value in record.row.items() if key.endswith("_seconds")]
    return sum(float(value) for value in stages if isinstance(value, int | float))
