"""A process of Ray's with GPUs of its own, that makes one run after another and keeps their model loaded."""

import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hydra.core.utils import JobReturn

from ablate.telemetry.interruption import interrupt_by

Job = Callable[[Sequence[str]], JobReturn]


@dataclass(frozen=True)
class Place:
    """Where a worker is.

    Attributes:
        node: Ray's id of the machine.
        process: Its process there.
        gpus: Ids of the GPUs that nobody else has.
    """

    node: str
    process: int
    gpus: tuple[str, ...]

    def __str__(self) -> str:
        return f"process {self.process}" + (f" on GPU {', '.join(self.gpus)}" if self.gpus else "")


class NoGpuError(RuntimeError):
    """A worker has a GPU by Ray's account, and none by torch's."""


class Worker:
    """What Ray makes an actor of."""

    def __init__(self, job: Job, folder: str) -> None:
        """Go to the folder that a run's paths are relative to.

        Args:
            job: Makes a run of Hydra overrides.
            folder: Working folder of the call.
        """
        os.chdir(folder)
        # As Ctrl-C: the run leaves its row. Ray's own handler would end the process without one.
        signal.signal(signal.SIGTERM, interrupt_by)
        self._job = job

    def place(self) -> Place:
        """Say where this is."""
        return place()

    def make(self, overrides: Sequence[str], threads: int) -> JobReturn:
        """Make a run.

        Args:
            overrides: What it is composed from.
            threads: How many it computes with; the first run decides for the worker's others.
        """
        # OpenMP reads these as torch is imported, which is in the first run.
        os.environ["OMP_NUM_THREADS"] = str(threads)
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")
        return self._job(overrides)


def place() -> Place:
    """Say where this process of Ray's is."""
    import ray

    context = ray.get_runtime_context()
    gpus = tuple(context.get_accelerator_ids()["GPU"])
    return Place(context.get_node_id(), os.getpid(), gpus)


def check_gpu(device: str) -> None:
    """Refuse to compute on the CPU without being asked to, while holding a GPU.

    Args:
        device: The run's `device`.

    Raises:
        NoGpuError: If torch finds fewer GPUs than Ray lent this process.
    """
    gpus = place().gpus
    if not gpus or device != "auto":
        return
    import torch

    if torch.cuda.device_count() < len(gpus):
        raise NoGpuError(
            f"Ray lent this run GPU {', '.join(gpus)}, but torch finds {torch.cuda.device_count()} there. "
            "Fix: a torch with CUDA on that machine; or device=cpu, to hold a GPU and not use it."
        )


def interrupt(process: int) -> None:
    """Ask a worker on this machine to end its run."""
    try:
        os.kill(process, signal.SIGTERM)
    except ProcessLookupError:
        return
