"""What a Hydra launcher runs: one run, from its configuration to its row."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pandas as pd
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from ablate.config.reading import read_run_config, to_plain
from ablate.config.text import encodable
from ablate.models.compute import Compute, choose_compute
from ablate.results.checkpoint import Checkpoint, read_checkpoint
from ablate.results.effect import check_effect, outcome_digest
from ablate.results.record import RunRecord, Status
from ablate.results.tables import rebuild
from ablate.results.training import FinishedTraining, kept_training, now
from ablate.runner.done import is_done, set_damage_aside
from ablate.runner.identity import checkpoint_identity
from ablate.runner.prepare import PreparedRun, prepare
from ablate.runner.record import failure, new_record
from ablate.runner.run import measure
from ablate.telemetry.cost import Stopwatch, peak_memory_bytes, reset_peak_memory
from ablate.telemetry.interruption import RunInterruptedError, forget_interruption, was_interrupted
from ablate.telemetry.place import place
from ablate.telemetry.progress import say
from ablate.trackers.tracking import OnStep, tracked

log = logging.getLogger(__name__)

BUSY = "busy"
_PATIENCE_SECONDS = 2
_STAGES = ("load", "importance", "train", "eval")


class RunNotRecordedError(RuntimeError):
    """A run's outcome could not be written, such as to a full disk."""


def run_job(composed: DictConfig) -> str:
    """Make one run, unless it is done or in use by another process.

    Args:
        composed: The job's configuration, as Hydra composed it.

    Returns:
        The run's status, or `busy` if another process owns it.

    Raises:
        ConfigError: If the configuration is wrong.
    """
    prepared = prepare(read_run_config(composed), HydraConfig.get().overrides.task)
    return make_run(prepared)


def make_run(prepared: PreparedRun) -> str:
    """Make a prepared run and rebuild the tables of its sweep.

    Returns:
        The run's status, or `busy` if another process owns it.

    Raises:
        RunNotRecordedError: If not even its failure can be written.
    """
    if line := set_damage_aside(prepared):
        say(line)
    with prepared.folder.owned(wait=False, patience_seconds=_PATIENCE_SECONDS) as owned:
        if not owned:
            return BUSY
        if is_done(prepared):
            return "ok"
        try:
            return _recorded(prepared).status
        finally:
            rebuild(prepared.folder.sweep_path)


def record_lost(
    prepared: PreparedRun, began: RunRecord | None, status: Status, reason: str
) -> None:
    """Leave the row of a run whose job ended without one; none if another process is at it.

    Args:
        prepared: The run.
        began: What the run left when it began; None if it did not.
        status: How it ended.
        reason: Why; it is in the run's log, too.
    """
    with prepared.folder.owned(wait=False, patience_seconds=_PATIENCE_SECONDS) as owned:
        if not owned:
            return
        record = began or new_record(prepared)
        record.row |= {"status": status, "error": encodable(reason), "finished_at": now()}
        with _logged(prepared.folder.log_path):
            log.error(reason)
        prepared.folder.finish(record, None)
    rebuild(prepared.folder.sweep_path)


def _recorded(prepared: PreparedRun) -> RunRecord:
    """Make a run and leave its outcome in its folder, whatever happens."""
    config, folder = prepared.config, prepared.folder
    compute = choose_compute(config.device, config.precision)
    earlier, keep = _earlier(prepared, compute)
    record = new_record(prepared)
    record.row["started_at"] = now()
    folder.begin(to_plain(config), record, keep)
    watch = Stopwatch(compute.device)
    if earlier is not None:
        watch.seconds.update(
            {stage: earlier.seconds.get(stage, 0.0) for stage in ("importance", "train")}
        )
    reset_peak_memory(compute.device)
    with _logged(folder.log_path), tracked(config.tracker, folder, record) as on_step:
        log.info("made %s", place())
        try:
            ended, items = _measured(prepared, record, compute, watch, earlier, on_step)
            _finish(prepared, ended, items, compute, watch, earlier)
        except (Exception, KeyboardInterrupt) as raised:
            log.exception("the run failed")
            error = KeyboardInterrupt() if was_interrupted() else raised
            ended = new_record(prepared)
            ended.row |= {"started_at": record.row["started_at"], **failure(error)}
            try:
                _finish(prepared, ended, None, compute, watch, earlier)
            except OSError as unwritten:
                raise RunNotRecordedError(
                    f"{folder.run_id}: {ended.row['error']}; this could not be recorded: {unwritten}"
                ) from raised
            if isinstance(error, KeyboardInterrupt | RunInterruptedError):
                forget_interruption()
                raise error from raised
    return ended


def _earlier(
    prepared: PreparedRun, compute: Compute
) -> tuple[FinishedTraining | Checkpoint | None, list[Path]]:
    """Return what an earlier try of a run has trained, or where its training was, and the files it has left of use."""
    folder = prepared.folder
    if prepared.config.force:
        return None, []
    earlier: FinishedTraining | Checkpoint | None
    earlier = kept_training(folder, (compute.device.type, compute.precision))
    if earlier is None:
        earlier, line = read_checkpoint(folder, checkpoint_identity(folder.run_id, compute))
        if line is not None:
            say(line)
    return earlier, [folder.answers_path, *(folder.of_training if earlier is not None else ())]


def _measured(
    prepared: PreparedRun,
    record: RunRecord,
    compute: Compute,
    watch: Stopwatch,
    earlier: FinishedTraining | Checkpoint | None,
    on_step: OnStep,
) -> tuple[RunRecord, pd.DataFrame]:
    """Return the record of a successful run, and one row per item."""
    measured = measure(prepared, compute, watch, earlier, on_step)
    items = measured.items
    record.digest = outcome_digest(prepared.folder.adapter_path, items)
    check_effect(prepared.config, prepared.folder, record.digest)
    trained = {k: v for k, v in measured.training.columns.items() if k != "language_trained"}
    record.row |= {"status": "ok", **trained, **measured.columns}
    record.row["trained_at"] = measured.training.trained_at
    record.tasks, record.sessions = measured.tasks, measured.sessions
    return record, items


def _finish(
    prepared: PreparedRun,
    record: RunRecord,
    items: pd.DataFrame | None,
    compute: Compute,
    watch: Stopwatch,
    earlier: FinishedTraining | Checkpoint | None,
) -> None:
    """Add what the run has cost to its record and write it."""
    earlier_peak = 0 if earlier is None else earlier.peak_memory_bytes
    record.row |= {f"{stage}_seconds": watch.seconds.get(stage) for stage in _STAGES}
    record.row |= {
        "peak_memory_bytes": max(earlier_peak, peak_memory_bytes(compute.device)),
        "device": str(compute.device),
        "precision": compute.precision,
        "finished_at": now(),
    }
    prepared.folder.finish(record, items)


class _LogFile(logging.FileHandler):
    """A log that a full disk does not stop the run for."""

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError):
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # logging's own name
        """Let a line go that cannot be written."""


@contextmanager
def _logged(path: Path) -> Iterator[None]:
    """Send what ablate logs, and every warning, to the run's own file."""
    handler = _LogFile(path, encoding="utf-8", errors="backslashreplace", delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    loggers = [logging.getLogger("ablate"), logging.getLogger("py.warnings")]
    before = [(logger.level, logger.propagate) for logger in loggers]
    logging.captureWarnings(True)
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False
    try:
        with warnings.catch_warnings():
            yield
    finally:
        for logger, (level, propagates) in zip(loggers, before, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(level)
            logger.propagate = propagates
        logging.captureWarnings(False)
        with suppress(OSError):
            handler.close()
