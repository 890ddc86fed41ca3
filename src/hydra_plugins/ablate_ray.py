"""Hydra looks for launchers in this namespace package only; what is not Hydra's of ours is in `ablate.clusters`."""

from collections.abc import Iterator, Sequence
from typing import Any

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, run_job, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from ablate.clusters.box import Box
from ablate.clusters.launcher import Ended
from ablate.clusters.worker import check_gpu


class AblateRay(Launcher):
    """Make each job on GPUs of its own, by Ray, and tell of it when it ends."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401  # checked as `cluster` was read
        self._box = Box(**options)

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Keep what a job is composed from."""
        self._job = _Job(hydra_context, task_function, config)

    def check(self) -> None:
        """Check that jobs can be made here.

        Raises:
            ConfigError: If not.
        """
        self._box.check()

    def launch(
        self,
        job_overrides: Sequence[Sequence[str]],
        initial_job_idx: int,  # noqa: ARG002  # Hydra's; no job uses its number
    ) -> Sequence[JobReturn]:
        """Return what Hydra says of every job once all have ended."""
        ended = dict(self.stream(job_overrides))
        return [ended[index] for index in range(len(job_overrides))]

    def stream(self, job_overrides: Sequence[Sequence[str]]) -> Iterator[Ended]:
        """Yield each job as it ends, as `StreamingLauncher` says."""
        return self._box.stream(self._job, job_overrides)


class _Job:
    """What a worker does with the overrides of a job: what Hydra's own launcher does."""

    def __init__(
        self, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        self._context, self._function, self._config = hydra_context, task_function, config
        self._singletons = Singleton.get_state()

    def __call__(self, overrides: Sequence[str]) -> JobReturn:
        Singleton.set_state(self._singletons)
        setup_globals()
        composed = self._context.config_loader.load_sweep_config(self._config, list(overrides))
        check_gpu(str(composed.device))
        return run_job(
            hydra_context=self._context,
            task_function=self._function,
            config=composed,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )
