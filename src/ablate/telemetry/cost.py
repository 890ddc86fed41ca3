"""What a run costs: seconds by stage, and the peak of its memory."""

import resource
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

_STATUS = Path("/proc/self/status")
_RESET_PEAK = Path("/proc/self/clear_refs")


class Stopwatch:
    """Adds up the seconds spent in named stages.

    Attributes:
        seconds: Seconds by stage; a stage that never ran is absent.
    """

    def __init__(self, device: torch.device) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._device = device
        self._begun: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the block's time towards `name`, GPU work included."""
        self._begun[name] = time.perf_counter()
        try:
            yield
        finally:
            if self._device.type == "cuda":
                torch.cuda.synchronize(self._device)
            self.seconds[name] += time.perf_counter() - self._begun.pop(name)

    def so_far(self, name: str) -> float:
        """Return the seconds of a stage, also while it goes on."""
        now = time.perf_counter()
        return self.seconds.get(name, 0.0) + now - self._begun.get(name, now)


def reset_peak_memory(device: torch.device) -> None:
    """Reset the peak: of the GPU's allocator, else of this process where Linux allows it."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif _RESET_PEAK.exists():
        try:
            _RESET_PEAK.write_text("5")
        except OSError:
            return


def peak_memory_bytes(device: torch.device) -> int:
    """Return the peak since `reset_peak_memory`: allocated GPU memory, or resident memory of the whole process."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    if _STATUS.exists():
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
