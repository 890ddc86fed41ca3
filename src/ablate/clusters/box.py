"""Runs on the GPUs of one machine or of a Ray cluster: each has its own, and waits until they are free."""

import importlib.util
import os
import signal
import socket
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
_SILENT: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
_STARTS = 3
_PATIENCE_SECONDS = 10


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
            ConfigError: If Ray is not installed, nothing is at the address, or this machine has too few GPUs.
        """
        if importlib.util.find_spec("ray") is None:
            raise ConfigError("cluster=box needs Ray. Fix: pip install 'ablate-vlm[ray]'.")
        if self._address is not None:
            _check_address(self._address)
            return
        if self._needs.gpus == 0:
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

        answer = signal.getsignal(signal.SIGTERM)
        try:
            if self._address is None:
                _start(ray, self._needs.gpus)
            else:
                _join(ray, self._address)
        finally:
            # Ray takes SIGTERM for itself.
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGTERM, answer)
        try:
            yield ray
        finally:
            ray.shutdown()


def _start(ray: Any, gpus: int) -> None:  # noqa: ANN401  # a module without types
    """Start Ray on this machine; it gives up after half a minute, which is short on a machine with other work."""
    for left in reversed(range(_STARTS)):
        try:
            ray.init(
                address="local",
                num_gpus=None if gpus else 0,
                include_dashboard=False,
                object_store_memory=_OBJECT_STORE_BYTES,
                **_SILENT,
            )
            return
        except Exception:  # Ray raises no other class
            ray.shutdown()
            if not left:
                raise


def _join(ray: Any, address: str) -> None:  # noqa: ANN401  # as above
    try:
        ray.init(address=address, **_SILENT)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise ConfigError(
            one_line(
                f"cluster.address is '{address}', and the Ray cluster there cannot be joined: {error}. Fix: ray start "
                "this machine into it, then cluster.address=auto; RAY_AUTH_MODE=token if it wants a token."
            )
        ) from error


def _check_address(address: str) -> None:
    """Refuse an address that Ray would try for minutes.

    Raises:
        ConfigError: If it is neither `auto` nor HOST:PORT, or nothing answers there.
    """
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdecimal():
        raise ConfigError(
            f"cluster.address is '{address}'; allowed: auto, or HOST:PORT such as 10.0.0.7:6379. "
            "Fix: `ray start` this machine into the cluster, then cluster.address=auto."
        )
    try:
        socket.create_connection((host, int(port)), _PATIENCE_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"cluster.address is '{address}', and nothing answers there: {error}. "
            "Fix: the HOST:PORT that `ray start --head` has printed."
        ) from error
