"""Memory that does not suffice: told from other errors, and put into words."""

import gc
import re
import resource
from collections.abc import Sequence
from pathlib import Path

import torch

# What CPU allocators and operating systems say where CUDA says OutOfMemoryError.
_WORDS = (
    "can't allocate memory",
    "cannot allocate memory",
    "not enough memory",
    "can't start new thread",
    "unable to allocate",
    "out of memory",
    "status_alloc_failed",  # cuBLAS and cuDNN
)
_ASKED = re.compile(r"tried to allocate ([\d.]+) (bytes|[KMG]iB)", re.IGNORECASE)
_MEMINFO = Path("/proc/meminfo")
_GIB = 1 << 30
_UNITS = {"bytes": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": _GIB}


class DoesNotFitError(MemoryError):
    """Not even one example fits into memory."""


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error says that memory did not suffice: a GPU's, an allocator's or the operating system's."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError | OSError) and any(words in text for words in _WORDS)


def release(device: torch.device) -> None:
    """Give back what failed work has left behind; call it outside the `except` block, which holds on to it."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def does_not_fit(
    what: str, said: str, device: torch.device, remedies: Sequence[str]
) -> DoesNotFitError:
    """Say what was asked for, what there was, and what would help.

    Args:
        what: What does not fit.
        said: The allocator's words.
        device: Where.
        remedies: Keys with values that take less memory.
    """
    asked = _ASKED.search(said)
    n_bytes = float(asked[1]) * _UNITS[asked[2].lower()] if asked else None
    request = "more memory was asked for" if n_bytes is None else f"{_gib(n_bytes)} were asked for"
    free, total = _available(device)
    there = "" if free is None or total is None else f", {_gib(free)} of {_gib(total)} were free"
    return DoesNotFitError(
        f"{what} does not fit into the memory of {device}: {request}{there}. Fix: {', or '.join(remedies)}."
    )


def _available(device: torch.device) -> tuple[float | None, float | None]:
    """Return the free bytes of a device, and all of them; what a limit of the process leaves, if that is less."""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        return free, total
    if not _MEMINFO.exists():
        return None, None
    lines = dict(line.split(":", 1) for line in _MEMINFO.read_text().splitlines())
    free, total = (int(lines[key].split()[0]) << 10 for key in ("MemAvailable", "MemTotal"))
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if 0 <= limit < total:
        mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        free, total = min(free, max(limit - mapped, 0)), limit
    return free, total


def _gib(n_bytes: float) -> str:
    return f"{n_bytes / _GIB:.2f} GiB"
