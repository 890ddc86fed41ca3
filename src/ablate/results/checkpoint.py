"""Where a run's training is, in one file of its folder until the training has ended."""

import logging
from dataclasses import dataclass, fields
from typing import Any

from torch import Tensor

from ablate.results.files import replacing, set_aside
from ablate.results.record import Cell
from ablate.results.run_folder import DAMAGED, RunFolder
from ablate.results.tensors import DamagedTensorsError, read_tensors, write_tensors

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpoint:
    """A training that goes on in the next process.

    Attributes:
        updates: What each finished stage has trained, in their order.
        state: Of the stage that was going on.
        columns: What is trained, by column of results.csv.
        seconds: Seconds by stage so far.
        peak_memory_bytes: Peak so far.
    """

    updates: list[dict[str, Tensor]]
    state: dict[str, Any]
    columns: dict[str, Cell]
    seconds: dict[str, float]
    peak_memory_bytes: int


def write_checkpoint(folder: RunFolder, checkpoint: Checkpoint, of: dict[str, Cell]) -> None:
    """Replace a run's checkpoint; what cannot be written does not stop the run.

    Args:
        folder: The run's folder, owned by this process.
        checkpoint: Where the training is.
        of: What it goes on under, and nothing else: the run, the version, the machine's share.
    """
    parts = {field.name: getattr(checkpoint, field.name) for field in fields(checkpoint)}
    try:
        with replacing(folder.checkpoint_path) as temporary:
            write_tensors({"of": of, **parts}, temporary)
    except OSError as error:
        log.warning("the state of the training could not be kept: %s", error)


def read_checkpoint(folder: RunFolder, of: dict[str, Cell]) -> tuple[Checkpoint | None, str | None]:
    """Return a run's checkpoint, if there is one that this process can go on from.

    A damaged one is set aside.

    Args:
        folder: The run's folder, owned by this process.
        of: What was given when it was written.

    Returns:
        The checkpoint or None, and one line that says why one is not used.
    """
    path = folder.checkpoint_path
    if not path.exists():
        return None, None
    try:
        content = read_tensors(path)
        written_of = content.pop("of")
        checkpoint = Checkpoint(**content)
    except (DamagedTensorsError, KeyError, TypeError) as error:
        place = set_aside(path, folder.sweep_path / DAMAGED)
        return None, (
            f"{folder.run_id}: its {path.name} is damaged ({error}): set aside in {place}, training begins anew"
        )
    for key, value in of.items():
        if written_of.get(key) != value:
            return None, (
                f"{folder.run_id}: its {path.name} is of {key} {written_of.get(key)}, not {value}: training begins anew"
            )
    return checkpoint, None
