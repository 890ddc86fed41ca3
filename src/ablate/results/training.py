"""What a run has trained, kept from the end of its training until its evaluation has succeeded."""

import json
import logging
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from pydantic import TypeAdapter

from ablate.results.files import sha256_of, write_text
from ablate.results.record import Cell
from ablate.results.run_folder import RunFolder

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FinishedTraining:
    """A training that has ended; the update itself is adapter.safetensors.

    Attributes:
        columns: What was trained, by column of results.csv.
        seconds: Seconds by stage, up to the end of training.
        peak_memory_bytes: Peak up to the end of training.
        compute: Device type and precision.
        adapter_sha256: Hash of the update; None where nothing was trained.
        trained_at: When training ended, UTC.
    """

    columns: dict[str, Cell]
    seconds: dict[str, float]
    peak_memory_bytes: int
    compute: tuple[str, str]
    adapter_sha256: str | None
    trained_at: str


_ADAPTER = TypeAdapter(FinishedTraining)


def now() -> str:
    """Return the time as a UTC stamp, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def keep_training(
    folder: RunFolder,
    columns: dict[str, Cell],
    seconds: dict[str, float],
    peak_memory_bytes: int,
    compute: tuple[str, str],
) -> FinishedTraining:
    """Write down that a run's training has ended; its update is in the folder by then."""
    adapter = folder.adapter_path
    training = FinishedTraining(
        columns,
        seconds,
        peak_memory_bytes,
        compute,
        sha256_of(adapter) if adapter.exists() else None,
        now(),
    )
    write_text(folder.training_path, json.dumps(asdict(training), indent=1))
    return training


def kept_training(folder: RunFolder, compute: tuple[str, str]) -> FinishedTraining | None:
    """Return what an earlier try of a run has trained, if it is whole and of the same device type and precision."""
    if not folder.training_path.exists():
        return None
    try:
        content = json.loads(folder.training_path.read_text(encoding="utf-8"))
        training = _ADAPTER.validate_python(content)
    except (OSError, ValueError, RecursionError):
        return None
    adapter = folder.adapter_path
    found = sha256_of(adapter) if adapter.is_file() else None
    return training if training.compute == compute and found == training.adapter_sha256 else None
