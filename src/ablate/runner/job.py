"""What a Hydra launcher runs: one point, from its configuration to its row."""

import logging
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

import ablate
from ablate.config.reading import read_run_config, to_plain
from ablate.config.schema import RunConfig
from ablate.models.compute import choose_compute
from ablate.models.kinds import read_vision_config
from ablate.results.record import RunRecord, StableRules, Status, SuiteRecord
from ablate.results.run_folder import RunFolder
from ablate.results.tables import rebuild
from ablate.runner.effect import check_effect, outcome_digest
from ablate.runner.identity import point_digest
from ablate.runner.prepare import PreparedRun, prepare
from ablate.runner.provenance import git_state
from ablate.runner.run import measure
from ablate.runner.stages import Stopwatch, peak_memory_bytes, reset_peak_memory
from ablate.training.loop import NonFiniteLossError

log = logging.getLogger(__name__)

BUSY = "busy"
_PATIENCE_SECONDS = 2
STAGES = ("load", "importance", "train", "eval")


def run_job(composed: DictConfig) -> str:
    """Make one run, unless it is done or another process is making it right now.

    Args:
        composed: The job's configuration, as Hydra composed it.

    Returns:
        The run's status, or `busy` if another process owns it.

    Raises:
        ConfigError: If the configuration is wrong.
    """
    prepared = prepare(read_run_config(composed))
    return make_run(prepared, wait=False)


def make_run(prepared: PreparedRun, wait: bool) -> str:
    """Make a prepared run and rebuild the tables of its sweep.

    Args:
        prepared: The run.
        wait: Wait for another process that is making this run, rather than return `busy`.
    """
    with prepared.folder.owned(wait, _PATIENCE_SECONDS) as owned:
        if not owned:
            return BUSY
        if is_done(prepared):
            return "ok"
        try:
            return _recorded(prepared).status
        finally:
            rebuild(Path(prepared.config.output_dir) / prepared.config.name)


def is_done(prepared: PreparedRun) -> bool:
    """Tell whether a run has ended well before, with all that is asked of it now."""
    if prepared.config.force:
        return False
    if prepared.config.save_model and not prepared.folder.model_path.is_dir():
        return False
    record = prepared.folder.read()
    return record is not None and record.status == "ok"


def update_suite(prepared: PreparedRun) -> None:
    """Write into a finished run how the stable tasks are chosen now: that needs no other answers."""
    record = prepared.folder.read()
    wanted = _suite(prepared)
    if record is None or record.suite == wanted:
        return
    with prepared.folder.owned(wait=True):
        prepared.folder.finish(replace(record, suite=wanted), None)


def _recorded(prepared: PreparedRun) -> RunRecord:
    """Make a run and leave its outcome in its folder, whatever happens."""
    config, folder = prepared.config, prepared.folder
    record = RunRecord(
        _identity(config, folder) | {"started_at": _now()},
        suite=_suite(prepared),
        point=point_digest(config, prepared.fingerprints),
    )
    folder.begin(to_plain(config), record.row)
    compute = choose_compute(config.device, config.precision)
    watch = Stopwatch(compute.device)
    reset_peak_memory(compute.device)
    items = None
    with _logged(folder.log_path):
        try:
            measured = measure(prepared, compute, watch)
            record.digest = outcome_digest(folder.adapter_path, measured.items)
            check_effect(config, folder, record.digest)
            record.row |= {"status": "ok", **measured.columns}
            record.tasks, record.sessions = measured.tasks, measured.sessions
            items = measured.items
        except (Exception, KeyboardInterrupt) as error:
            log.error("%s", traceback.format_exc())
            record.row |= {"status": _status(error), "error": _one_line(error)}
            if isinstance(error, KeyboardInterrupt):
                folder.finish(record, None)
                raise
    record.row |= {f"{stage}_seconds": watch.seconds.get(stage) for stage in STAGES}
    record.row |= {
        "peak_memory_bytes": peak_memory_bytes(compute.device),
        "device": str(compute.device),
        "precision": compute.precision,
        "finished_at": _now(),
    }
    folder.finish(record, items)
    return record


def _identity(config: RunConfig, folder: RunFolder) -> dict[str, Any]:
    """Return the columns that are known before anything has run."""
    commit, dirty = git_state()
    ablation, method = config.ablation, asdict(config.method)
    return {
        "run_id": folder.run_id,
        "ablation": ablation.name if ablation else None,
        "axis": ablation.key if ablation else None,
        "value": ablation.value if ablation else None,
        "seed": config.seed,
        "model": config.model.name,
        "encoder": _encoder(config),
        "method": config.method.name,
        "loss": config.loss,
        "data": config.data.name,
        **{key: getattr(config.data, key, None) for key in ("shots", "sessions")},
        **{key: method.get(key) for key in ("rank", "top_k_heads", "sparsity")},
        "git_commit": commit,
        "git_dirty": dirty,
        "ablate_version": ablate.__version__,
    }


def _encoder(config: RunConfig) -> str:
    """Name the image encoder: the one put in, else the family or families of the model's own."""
    if config.encoder is not None:
        return config.encoder.name
    vision = read_vision_config(config.model)
    parts = vision.get("parts", [{"config": vision}])
    families = [str(part["config"]["model_type"]).removesuffix("_vision_model") for part in parts]
    return "+".join(families) or "patches"


def _suite(prepared: PreparedRun) -> SuiteRecord | None:
    """Say which tasks a run is to answer, and how the stable ones are chosen."""
    suite = prepared.config.tasks
    if suite is None:
        return None
    expected = {
        kind: [task.name for task in prepared.tasks if task.kind == kind]
        for kind in ("vision", "text")
    }
    stable = {"vision": suite.stable.vision, "text": suite.stable.text}
    return SuiteRecord(
        suite.name,
        expected,
        {kind: choice if choice == "auto" else list(choice) for kind, choice in stable.items()},
        StableRules(**asdict(suite.stable.rules)),
    )


def _status(error: BaseException) -> Status:
    if isinstance(error, NonFiniteLossError):
        return "nan"
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return "oom"
    return "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@contextmanager
def _logged(path: Path) -> Iterator[None]:
    """Send what ablate logs, and every warning, to the run's own file."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    loggers = [logging.getLogger("ablate"), logging.getLogger("py.warnings")]
    logging.captureWarnings(True)
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False
    try:
        with warnings.catch_warnings():
            yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
        logging.captureWarnings(False)
        handler.close()
