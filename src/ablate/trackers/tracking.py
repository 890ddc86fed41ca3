"""A run's numbers on their way to its trackers: whatever these do, the run goes on and its row stays what it is."""

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from ablate.config.schema.trackers import TrackerConfig
from ablate.config.text import printable
from ablate.results.columns import METRICS
from ablate.results.files import write_text
from ablate.results.record import DamagedRecordError, RunRecord
from ablate.results.run_folder import RunFolder
from ablate.telemetry.progress import say
from ablate.trackers.base import Facts, Outcome, Tracker
from ablate.trackers.build import build_tracker, settings_of

log = logging.getLogger(__name__)

OnStep = Callable[[str, int, float, float], None]
"""Takes the numbers of an optimiser step: its stage's label, the step in it from 0, the loss, the learning rate."""


@contextmanager
def tracked(config: TrackerConfig, folder: RunFolder, record: RunRecord) -> Iterator[OnStep]:
    """Send a run to every tracker that is on and does not have it yet; its outcome is read from its folder at the end.

    Args:
        config: The trackers.
        folder: The run's folder, owned by this process.
        record: What is known of the run so far.

    Yields:
        What takes the numbers of each training step.
    """
    waiting = _waiting(config, folder)
    if not waiting:
        yield untracked
        return
    trackers = {name: build_tracker(settings) for name, settings in waiting.items()}
    tracking = _Tracking(trackers, folder.run_id)
    tracking.start(facts_of(record))
    try:
        yield tracking.step
    finally:
        tracking.finish(outcome_of(_read(folder) or record))
        _note(config, folder, tracking.names())


def send(config: TrackerConfig, folder: RunFolder) -> None:
    """Send a run that is done to the trackers that do not have it: its outcome, without its steps."""
    if not _waiting(config, folder):
        return
    with folder.owned(wait=False) as owned:
        record = _read(folder) if owned else None
        if record is not None:
            with tracked(config, folder, record):
                pass


def facts_of(record: RunRecord) -> Facts:
    """Return what a tracker is told of a run when it begins."""
    told = (*METRICS, "status", "error", "started_at", "finished_at")
    described = {key: value for key, value in record.row.items() if key not in told}
    run_id, ablation = str(record.row["run_id"]), record.row.get("ablation")
    return Facts(
        run_id,
        f"{run_id.rpartition('-seed')[0]}-{record.config_id}",
        () if ablation is None else (str(ablation),),
        {**record.settings, **described},
    )


def outcome_of(record: RunRecord) -> Outcome:
    """Return what a tracker is told of a run that has ended.

    Stable scores are not in it: they change until a sweep is complete.
    """
    numbers = {name: record.row.get(name) for name in METRICS}
    for task in record.tasks:
        name = f"tasks/{task.kind}/{task.task}/{task.metric}"
        numbers |= {name: task.value, f"{name}/before": task.value_before}
    error = record.row.get("error")
    return Outcome(
        record.status,
        None if error is None else str(error),
        {name: float(value) for name, value in numbers.items() if isinstance(value, int | float)},
    )


def untracked(label: str, step: int, loss: float, learning_rate: float) -> None:
    """Take nothing: no tracker is on."""
    del label, step, loss, learning_rate


class _Tracking:
    """Several trackers as one; the first error of each is its last call."""

    def __init__(self, trackers: dict[str, Tracker], run_id: str) -> None:
        self._trackers, self._run_id = trackers, run_id
        self._earlier = self._next = 0

    def names(self) -> list[str]:
        """Return those that have taken everything so far."""
        return list(self._trackers)

    def start(self, run: Facts) -> None:
        self._each(lambda tracker: tracker.start(run))

    def step(self, label: str, step: int, loss: float, learning_rate: float) -> None:
        if self._earlier + step < self._next:
            # A stage has begun.
            self._earlier = self._next
        number = self._earlier + step
        numbers = {f"{label}/loss": loss, f"{label}/learning_rate": learning_rate}
        self._each(lambda tracker: tracker.log(number, numbers))
        self._next = number + 1

    def finish(self, outcome: Outcome) -> None:
        self._each(lambda tracker: tracker.finish(outcome))

    def _each(self, call: Callable[[Tracker], None]) -> None:
        for name, tracker in list(self._trackers.items()):
            try:
                call(tracker)
            except Exception as error:  # whatever a library raises, the run goes on
                del self._trackers[name]
                reason = printable(" ".join(f"{type(error).__name__}: {error}".split()))
                line = f"{name} has not got all of {self._run_id}: {reason}"
                log.warning(line)
                say(line)


def _waiting(config: TrackerConfig, folder: RunFolder) -> Mapping[str, Any]:
    """Return the settings of the trackers that do not have the run, or have it elsewhere."""
    settings = settings_of(config)
    known = _sent(folder) if settings else {}
    return {name: one for name, one in settings.items() if known.get(name) != asdict(one)}


def _read(folder: RunFolder) -> RunRecord | None:
    try:
        return folder.read()
    except DamagedRecordError:
        return None


def _sent(folder: RunFolder) -> dict[str, Any]:
    try:
        content = json.loads(folder.tracked_path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _note(config: TrackerConfig, folder: RunFolder, names: list[str]) -> None:
    """Write down which trackers have the run, so that none gets it twice."""
    settings = settings_of(config)
    sent = _sent(folder) | {name: asdict(settings[name]) for name in names}
    try:
        write_text(folder.tracked_path, json.dumps(sent, indent=1))
    except OSError as error:
        log.warning("which trackers have this run could not be written: %s", error)
