"""Prepared runs through a launcher, with a bar, a line for each, and a table at the end."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher

from ablate.config.errors import ConfigError
from ablate.results.console import outcome_line, summary_lines
from ablate.results.tables import read_stable_tasks, rebuild
from ablate.runner.job import BUSY, is_done, make_run, update_suite
from ablate.runner.prepare import PreparedRun
from ablate.runner.progress import say, sweep_bar

_DIED = "died"


class RunsFailedError(RuntimeError):
    """At least one run failed; the others are done and recorded."""


@dataclass(frozen=True)
class Job:
    """A run and what a launcher composes it from.

    Attributes:
        overrides: Hydra overrides.
        run: The run.
    """

    overrides: tuple[str, ...]
    run: PreparedRun


def execute(jobs: Sequence[Job], launcher: Launcher) -> None:
    """Make every run that is not done, then show each sweep's table.

    Raises:
        RunsFailedError: If a run failed.
    """
    waiting = [job for job in jobs if not is_done(job.run)]
    for job in jobs:
        if job not in waiting:
            update_suite(job.run)
    folders = list(dict.fromkeys(job.run.folder.path.parents[1] for job in jobs))
    for folder in folders:
        rebuild(folder)
        _announce(folder, jobs, waiting)
    died: set[Path] = set()
    if waiting:
        died = _launch(waiting, launcher, "+".join(folder.name for folder in folders))
    failed = _show(folders, jobs, died)
    if failed:
        lost = sum(job.run.folder.read() is None for job in jobs)
        raise RunsFailedError(
            f"{failed} of {len(jobs)} runs failed; their rows say why, their log.txt has more."
            + (f" {lost} never began and have no row: see the lines above." if lost else "")
        )


def _announce(folder: Path, jobs: Sequence[Job], waiting: Sequence[Job]) -> None:
    asked = [job for job in jobs if job.run.folder.path.parents[1] == folder]
    missing = [job for job in waiting if job in asked]
    done = f", {len(asked) - len(missing)} already done" if len(missing) < len(asked) else ""
    say(f"{folder.name}: {len(asked)} runs{done}, {len(missing)} to run -> {folder}")


def _launch(jobs: Sequence[Job], launcher: Launcher, label: str) -> set[Path]:
    """Hand the runs to the launcher: one by one where it runs them here, else all at once.

    Returns:
        Folders of the runs whose job died without leaving an outcome.
    """
    is_local = isinstance(launcher, BasicLauncher)
    chunks = [[job] for job in jobs] if is_local else [list(jobs)]
    busy: list[Job] = []
    died: set[Path] = set()
    first = 0
    with sweep_bar(label, len(jobs)) as bar:
        for chunk in chunks:
            statuses = _statuses(chunk, launcher, first)
            first += len(chunk)
            for job, status in zip(chunk, statuses, strict=True):
                if status == BUSY:
                    busy.append(job)
                    continue
                bar.update(1)
                if status == _DIED:
                    died.add(job.run.folder.path)
                else:
                    say(outcome_line(job.run.folder))
        for job in busy:
            say(f"{job.run.folder.run_id}: another process is at it; waiting")
            make_run(job.run, wait=True)
            bar.update(1)
            say(outcome_line(job.run.folder))
    return died


def _statuses(chunk: Sequence[Job], launcher: Launcher, first: int) -> list[str]:
    """Launch jobs and return how each ended.

    A cluster launcher raises when it loses one job, and says nothing of the others: their folders do.
    """
    before = {job.run.folder.path: job.run.folder.read() for job in chunk}
    try:
        returns = launcher.launch([list(job.overrides) for job in chunk], first)
    except ConfigError:
        raise
    except Exception as error:  # whatever a launcher raises, the other runs are kept
        say(f"the launcher failed: {type(error).__name__}: {error}")
        return [
            _DIED
            if (now := job.run.folder.read()) is None or now == before[job.run.folder.path]
            else now.status
            for job in chunk
        ]
    return [_status(result, job) for result, job in zip(returns, chunk, strict=True)]


def _status(result: JobReturn, job: Job) -> str:
    """Return what a job said; a job that died without a word is said to have."""
    if result.status == JobStatus.COMPLETED:
        return str(result.return_value)
    error = result._return_value
    if isinstance(error, ConfigError):
        raise error
    say(f"{job.run.folder.run_id}: the job died: {type(error).__name__}: {error}")
    return _DIED


def _show(folders: Sequence[Path], jobs: Sequence[Job], died: set[Path]) -> int:
    """Print each sweep's table; return how many of the jobs did not end well."""
    for folder in folders:
        results = rebuild(folder)
        asked = [job.run.folder.run_id for job in jobs if job.run.folder.path.parents[1] == folder]
        for line in summary_lines(
            results[results["run_id"].isin(asked)], read_stable_tasks(folder)
        ):
            say(line)
        say(f"{folder / 'results.csv'}")
    return sum(job.run.folder.path in died or not _is_ok(job) for job in jobs)


def _is_ok(job: Job) -> bool:
    record = job.run.folder.read()
    return record is not None and record.status == "ok"
