"""Runs made one by one in this process, or by a launcher; whatever becomes of a run, it has a row."""

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.utils import JobReturn, JobStatus

from ablate.clusters.launcher import AnyLauncher, Ended, JobEndedError, StreamingLauncher, lost
from ablate.config.errors import ConfigError
from ablate.config.text import printable
from ablate.results.record import RunRecord, Status
from ablate.runner.job import make_run, record_lost
from ablate.runner.prepare import PreparedRun
from ablate.telemetry.interruption import raise_if_interrupted
from ablate.telemetry.progress import say


@dataclass(frozen=True)
class Job:
    """A run and what a launcher composes it from.

    Attributes:
        overrides: Hydra overrides.
        run: The run.
    """

    overrides: tuple[str, ...]
    run: PreparedRun


def is_incremental(launcher: AnyLauncher) -> bool:
    """Tell whether runs are known to have ended while others go on; most launchers return when all have."""
    return isinstance(launcher, BasicLauncher | StreamingLauncher)


def outcomes(jobs: Sequence[Job], launcher: AnyLauncher) -> Generator[tuple[Job, str]]:
    """Make runs and yield each as it ends, with its status or `busy`; one that was lost has a row that says so.

    Hydra's own launcher stands for this process, where the runs are prepared already.

    Raises:
        ConfigError: If a run turns out to be misconfigured, or the launcher does.
    """
    before = {job.run.folder.path: job.run.folder.read() for job in jobs}
    with closing(_results(jobs, launcher)) as results:
        for job, result in results:
            if result.status == JobStatus.COMPLETED:
                yield job, str(result.return_value)
            else:
                yield job, _lost(job, before[job.run.folder.path], result._return_value)


def _results(jobs: Sequence[Job], launcher: AnyLauncher) -> Generator[tuple[Job, JobReturn]]:
    """Yield what is said of each job; a launcher that raises does not say which jobs it lost."""
    overrides = [list(job.overrides) for job in jobs]
    if isinstance(launcher, BasicLauncher):
        for job in jobs:
            yield job, _made_here(job)
        return
    left = dict(enumerate(jobs))
    try:
        with closing(_launched(overrides, launcher)) as ended:
            for index, result in ended:
                yield left.pop(index), result
    except ConfigError:
        raise
    except Exception as error:  # whatever a launcher raises, the other runs are kept
        raise_if_interrupted()
        reason = f"the launcher failed: {type(error).__name__}: {error}"
        say(printable(reason))
        for job in left.values():
            yield job, lost(reason, "failed")


def _launched(overrides: list[list[str]], launcher: AnyLauncher) -> Generator[Ended]:
    if isinstance(launcher, StreamingLauncher):
        yield from launcher.stream(overrides)
    else:
        yield from enumerate(launcher.launch(overrides, 0))


def _made_here(job: Job) -> JobReturn:
    raise_if_interrupted()
    try:
        return JobReturn(status=JobStatus.COMPLETED, _return_value=make_run(job.run))
    except ConfigError:
        raise
    except Exception as error:  # whatever a run raises, the others are made
        raise_if_interrupted()
        return JobReturn(status=JobStatus.FAILED, _return_value=error)


def _lost(job: Job, before: RunRecord | None, error: Exception) -> str:
    """Return how a run ended whose job did not say; unless it left an outcome, its row gets the reason."""
    now = job.run.folder.read()
    began = now if now != before else None
    if began is not None and began.status != "interrupted":
        return began.status
    reason = str(error)
    status: Status = "failed" if began is None else "interrupted"
    if isinstance(error, JobEndedError):
        status = error.status
    else:
        reason = f"the job died: {type(error).__name__}: {error}"
        say(printable(f"{job.run.folder.run_id}: {reason}"))
    try:
        record_lost(job.run, began, status, reason)
    except OSError as unwritten:
        say(f"{job.run.folder.run_id}: this could not be recorded: {unwritten}")
    return status
