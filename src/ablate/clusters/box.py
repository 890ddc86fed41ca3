"""Runs on the GPUs of one machine or of a Ray cluster: each has its own, and waits until they are free."""

import importlib.util
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ablate.clusters.launcher import Ended
from ablate.clusters.pool import Needs, Pool
from ablate.clusters.worker import Job
from ablate.config.errors import ConfigError, one_line

# Nothing is sent to Ray's makers, and what its daemons say stays in their own logs; read as ray is imported.
_QUIET = {
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".*",
    "RAY_SCHEDULER_EVENTS": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}
# Runs go through files. The least that Ray takes is 75 MiB.
_OBJECT_STORE_BYTES = 128 << 20


class Box:
    """A machine with GPUs, or several."""

    def __init__(self, address: str | None, gpus: int, cpus: int | None, tries: int) -> None:
        """Say where runs are made.

        Args:
            address: The Ray cluster to join; None to start one on this machine.
            gpus: GPUs of one run.
            cpus: Threads of one run; None for an even share of its machine's cores.
            tries: How many processes may die while they make one run.
        """
        self._address = address
        self._needs = Needs(gpus, cpus, tries)

    def check(self) -> None:
        """Check that runs can be made here, as far as that can be told without Ray's daemons.

        Raises:
            ConfigError: If Ray is not installed, or this machine has too few GPUs.
        """
        if importlib.util.find_spec("ray") is None:
            raise ConfigError("cluster=box needs Ray. Fix: pip install 'ablate-vlm[ray]'.")
        if self._address is not None or self._needs.gpus == 0:
            return
        import torch

        found = torch.cuda.device_count()
        if found < self._needs.gpus:
            raise ConfigError(
                f"cluster.gpus is {self._needs.gpus}, but this machine has {found} that torch can use. Fix: "
                "cluster.gpus=0 for runs on the CPU, or cluster.address=... for a Ray cluster with GPUs."
            )

    def stream(self, job: Job, job_overrides: Sequence[Sequence[str]]) -> Iterator[Ended]:
        """Make jobs and yield each as it ends; those that are left when the iterator is closed are interrupted.

        Args:
            job: Makes a run of Hydra overrides.
            job_overrides: What each is composed from.

        Raises:
            ConfigError: If there is no Ray cluster at the address.
        """
        with self._connected() as ray:
            pool = Pool(ray, self._needs, job, job_overrides)
            try:
                yield from pool.ended()
            finally:
                pool.stop()

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        """Start Ray on this machine, or join a cluster, for the length of the block."""
        os.environ.update(_QUIET)
        import ray
        import ray.util.scheduling_strategies

        options: dict[str, Any] = {"address": self._address}
        if self._address is None:
            options = {
                "address": "local",
                "include_dashboard": False,
                "object_store_memory": _OBJECT_STORE_BYTES,
                "num_gpus": None if self._needs.gpus else 0,
            }
        answer = signal.getsignal(signal.SIGTERM)
        try:
            ray.init(**options, log_to_driver=False, logging_level="ERROR")
        except (ConnectionError, ValueError, RuntimeError) as error:
            if self._address is None:
                raise
            raise ConfigError(
                one_line(
                    f"cluster.address is '{self._address}', but the Ray cluster there cannot be joined: {error}. "
                    "Fix: `ray start` this machine into it, then cluster.address=auto."
                )
            ) from error
        finally:
            # Ray takes SIGTERM for itself.
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGTERM, answer)
        try:
            yield ray
        finally:
            ray.shutdown()
