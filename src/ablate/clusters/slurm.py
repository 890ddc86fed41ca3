"""Runs as the jobs of a Slurm job array, by the launcher of hydra-submitit-launcher.

That launcher waits for its jobs in order, gives up on all of them when the first is lost, and asks Slurm less and less
often. Here every job is told of as it ends, and one that ended without a result with what Slurm and its log say.
"""

import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stderr
from dataclasses import fields
from io import StringIO
from pathlib import Path
from typing import Any

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher

from ablate.clusters.launcher import Ended, lost
from ablate.clusters.queue import JobState, cancel, job_states, partitions
from ablate.config.errors import ConfigError, one_line
from ablate.results.record import Status
from ablate.telemetry.interruption import interrupt_by
from ablate.telemetry.progress import say

_MODULE = "hydra_plugins.hydra_submitit_launcher.submitit_launcher"
_LOOK_SECONDS = 1
# Other people use the same Slurm.
_ASK_SECONDS = 15
_TAIL_LINES = 3
_TAIL_BYTES = 1 << 14
# A job that Slurm stopped has not failed by itself.
_STATUS: Mapping[str, Status] = {"FAILED": "failed", "OUT_OF_MEMORY": "oom", "COMPLETED": "failed"}


class SlurmQueue:
    """A launcher that tells of each Slurm job when it ends."""

    def __init__(self, launcher: Launcher) -> None:
        """Take the place of a launcher.

        Args:
            launcher: hydra-submitit-launcher's own, set up.
        """
        self._launcher: Any = launcher

    @staticmethod
    def is_for(launcher: Launcher) -> bool:
        """Tell whether a launcher is hydra-submitit-launcher's for Slurm."""
        module = sys.modules.get(_MODULE)
        return module is not None and isinstance(launcher, module.SlurmLauncher)

    def check(self) -> None:
        """Check that jobs can be submitted here.

        Raises:
            ConfigError: If not.
        """
        if shutil.which("sbatch") is None or shutil.which("srun") is None:
            raise ConfigError(
                "Slurm's commands sbatch and srun are not on this machine. Fix: run on a node from which jobs are "
                "submitted, or cluster=none."
            )

    def stream(self, job_overrides: Sequence[Sequence[str]]) -> Iterator[Ended]:
        """Submit jobs and yield each as it ends; the jobs that are left are cancelled when the iterator is closed.

        Raises:
            ConfigError: If Slurm does not take the jobs.
        """
        left = dict(enumerate(self._submitted(job_overrides)))
        first = left[0]
        say(
            f"Slurm job {first.job_id.partition('_')[0]}: {len(left)} runs in the queue; "
            f"their output is in {first.paths.folder.parent}"
        )
        ended_before: set[int] = set()
        ask_at = 0.0
        try:
            while left:
                for index in [
                    index for index, job in left.items() if job.paths.result_pickle.exists()
                ]:
                    yield index, _result(left.pop(index))
                if left and time.monotonic() >= ask_at:
                    states = job_states([job.job_id for job in left.values()])
                    ended = {i for i, job in left.items() if _has_ended(states.get(job.job_id))}
                    # A shared file system may show a result later than Slurm does its end.
                    for index in sorted(ended & ended_before):
                        job = left.pop(index)
                        yield index, _lost(job, states[job.job_id])
                    ended_before = ended
                    ask_at = time.monotonic() + _ASK_SECONDS
                if left:
                    time.sleep(_LOOK_SECONDS)
        finally:
            if left:
                _stop([job.job_id for job in left.values()])

    def _submitted(self, job_overrides: Sequence[Sequence[str]]) -> Sequence[Any]:
        """Submit jobs as the launcher itself does, and return submitit's handles."""
        import submitit
        from hydra_plugins.hydra_submitit_launcher.config import BaseQueueConf

        options = dict(self._launcher.params)
        executor = submitit.AutoExecutor(
            options.pop("submitit_folder"),
            cluster="slurm",
            slurm_max_num_timeout=options.pop("max_num_timeout"),
        )
        common = {field.name for field in fields(BaseQueueConf)}
        executor.update_parameters(
            **{name if name in common else f"slurm_{name}": v for name, v in options.items()}
        )
        places = range(len(job_overrides))
        state = Singleton.get_state()
        try:
            # submitit prints what sbatch said before it raises the same.
            with redirect_stderr(StringIO()):
                jobs: list[Any] = executor.map_array(
                    _SlurmJob(self._launcher),
                    [list(overrides) for overrides in job_overrides],
                    ["hydra.sweep.dir" for _ in places],
                    list(places),
                    [f"job_id_for_{index}" for index in places],
                    [state for _ in places],
                )
                return jobs
        except (
            submitit.core.utils.FailedJobError,
            submitit.core.utils.FailedSubmissionError,
        ) as error:
            raise ConfigError(_refusal(str(error))) from error


class _SlurmJob:
    """What a job calls: the launcher, and SIGTERM as Ctrl-C.

    submitit lets SIGTERM pass, and the job is killed half a minute later; a run that is interrupted leaves its row.
    Before the time limit Slurm sends another signal, which submitit answers: it queues the job again, or ends it.
    """

    def __init__(self, launcher: Any) -> None:  # noqa: ANN401  # the launcher's class has no types
        self._launcher = launcher

    def __call__(self, *arguments: object) -> JobReturn:
        signal.signal(signal.SIGTERM, interrupt_by)
        # OpenMP reads these as torch is imported, which is in the run; Slurm has set the first if `cpus` was given.
        if cores := os.environ.get("SLURM_CPUS_PER_TASK"):
            os.environ.setdefault("OMP_NUM_THREADS", cores)
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")
        try:
            result: JobReturn = self._launcher(*arguments)
        except KeyboardInterrupt:
            # Without a traceback, so that the log ends with what Slurm says.
            sys.exit(128 + signal.SIGTERM)
        return result

    def checkpoint(self, *arguments: object) -> object:
        """Return what submitit queues in the place of this: the same."""
        import submitit

        return submitit.helpers.DelayedSubmission(self, *arguments)


def _refusal(text: str) -> str:
    """Say why sbatch did not take the jobs; its own words come last in what submitit says."""
    said = [line.strip() for line in text.splitlines() if "sbatch:" in line] or [text]
    why = "; ".join(
        dict.fromkeys(line.removeprefix("sbatch: ").removeprefix("error: ") for line in said)
    )
    names = partitions()
    known = f" Its partitions: {', '.join(names)}." if names else ""
    return one_line(f"Slurm did not take the jobs: {why}.{known} Fix: the keys of cluster=slurm.")


def _has_ended(state: JobState | None) -> bool:
    return state is not None and (state.has_ended or state.state == "UNKNOWN")


def _result(job: Any) -> JobReturn:  # noqa: ANN401  # submitit brings no stubs that hold here
    """Return what a job left; one that raised left the traceback."""
    try:
        result: JobReturn = job.results()[0]
    except Exception as error:  # whatever it was, it stays with this job
        said = [line for line in str(error).splitlines() if line.strip("- ")]
        raised = next(
            (line for line in reversed(said) if not line.startswith((" ", "You can", "or at"))), ""
        )
        return lost(
            f"Slurm job {job.job_id} raised {raised}; its log: {job.paths.stderr}", "failed"
        )
    if result.status == JobStatus.UNKNOWN:
        return lost(f"Slurm job {job.job_id} left no result", "failed")
    return result


def _lost(job: Any, state: JobState) -> JobReturn:  # noqa: ANN401  # as above
    known = str(state)
    if state.state == "UNKNOWN":
        # Slurm keeps no record of the part of an array that is cancelled before it begins.
        began = job.paths.stdout.exists()
        known = "gone, and left no result" if began else "left the queue before it began: cancelled"
    text = f"Slurm job {job.job_id}: {known}"
    if tail := _tail(job.paths.stderr):
        text += f"; the end of {job.paths.stderr}: {tail}"
    return lost(one_line(text), _STATUS.get(state.state, "interrupted"))


def _tail(path: Path) -> str:
    """Return what Slurm wrote at the end of a log that may be long, else its last lines; none if there is no log."""
    try:
        with path.open("rb") as file:
            file.seek(max(path.stat().st_size - _TAIL_BYTES, 0))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    lines = [line.strip() for line in lines if line.strip()]
    by_slurm = [line for line in lines if line.startswith("slurmstepd") and "***" in line]
    return " | ".join((by_slurm or lines)[-_TAIL_LINES:])


def _stop(job_ids: Sequence[str]) -> None:
    why = cancel(job_ids)
    if why is None:
        say(f"cancelled {len(job_ids)} Slurm jobs")
    else:
        say(
            f"the jobs that are left could not be cancelled: {why}. Fix: scancel {' '.join(job_ids)}"
        )
