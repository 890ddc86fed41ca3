"""Prepared runs through a launcher, with a bar, a line for each, and a table at the end."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher

from ablate.config.errors import ConfigError
from ablate.config.text import printable
from ablate.models.remembered import store
from ablate.report.publish import about, summarise
from ablate.report.tables.show import show
from ablate.results.cache import tidy
from ablate.results.console import cost_line, outcome_line
from ablate.results.record import RunRecord
from ablate.results.repair import repair
from ablate.results.tables import rebuild
from ablate.runner.done import is_done, set_damage_aside, update_record
from ablate.runner.job import BUSY, make_run, record_lost
from ablate.runner.prepare import PreparedRun
from ablate.sweep.live import LiveSweep
from ablate.telemetry.progress import say

# After this many failures for one reason a sweep prints a warning.
_ENOUGH = 3


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
    folders = list(dict.fromkeys(job.run.folder.sweep_path for job in jobs))
    _put_in_order(folders, jobs)
    waiting = [job for job in jobs if not is_done(job.run)]
    for job in jobs:
        if job not in waiting:
            update_record(job.run)
    for folder in folders:
        rebuild(folder)
        _announce(folder, jobs, waiting)
    if waiting:
        _launch(waiting, launcher, "+".join(folder.name for folder in folders))
    failed = _show(folders, jobs)
    if failed:
        missing = sum(job.run.folder.read() is None for job in jobs)
        raise RunsFailedError(
            f"{failed - missing} of {len(jobs)} runs failed; their rows say why, their log.txt has more."
            + (f" {missing} never began." if missing else "")
        )


def _put_in_order(folders: Sequence[Path], jobs: Sequence[Job]) -> None:
    """Set aside what is damaged and remove what was left half written, each in one line."""
    for cache in dict.fromkeys(job.run.cache_folder for job in jobs):
        if line := tidy(cache):
            say(line)
        store(cache)
    for folder in folders:
        run_ids = {job.run.folder.run_id for job in jobs if job.run.folder.sweep_path == folder}
        for line in repair(folder, run_ids):
            say(line)
    for job in jobs:
        if line := set_damage_aside(job.run):
            say(line)


def _announce(folder: Path, jobs: Sequence[Job], waiting: Sequence[Job]) -> None:
    requested = [job for job in jobs if job.run.folder.sweep_path == folder]
    missing = [job for job in waiting if job in requested]
    done = (
        f", {len(requested) - len(missing)} already done" if len(missing) < len(requested) else ""
    )
    say(f"{folder.name}: {len(requested)} runs{done}, {len(missing)} to run -> {folder}")


def _launch(jobs: Sequence[Job], launcher: Launcher, label: str) -> None:
    """Make the runs: one by one in this process, where they are prepared already, or all at once by a launcher."""
    is_local = isinstance(launcher, BasicLauncher)
    chunks = [[job] for job in jobs] if is_local else [list(jobs)]
    busy: list[Job] = []
    errors: list[str | None] = []
    n_begun = 0
    with LiveSweep.of(label, [job.run for job in jobs]) as live:
        for chunk in chunks:
            statuses = [_made_here(chunk[0])] if is_local else _launched(chunk, launcher)
            n_begun += len(chunk)
            for job, status in zip(chunk, statuses, strict=True):
                if status == BUSY:
                    busy.append(job)
                    continue
                say(outcome_line(job.run.folder))
                live.ended(job.run)
                errors.append(_error_of(job))
            _warn_of_common_failure(errors, len(jobs))
            if errors and errors[-1] is not None and jobs[0].run.config.fail_fast:
                say(
                    f"fail_fast: stopped after a failed run; {len(jobs) - n_begun} runs did not begin"
                )
                return
        for job in busy:
            say(f"{job.run.folder.run_id}: in use by another process; waiting")
            make_run(job.run, wait=True)
            say(outcome_line(job.run.folder))
            live.ended(job.run)


def _warn_of_common_failure(errors: Sequence[str | None], n_jobs: int) -> None:
    """Warn once, when all of the first runs have failed for one reason."""
    if len(errors) == _ENOUGH and n_jobs > _ENOUGH and errors[0] and len(set(errors)) == 1:
        say(
            f"!!! The first {_ENOUGH} runs have all failed for the same reason: {errors[0]}\n"
            f"!!! {n_jobs - _ENOUGH} more are left; Ctrl-C stops here, fail_fast=true after the first failure."
        )


def _error_of(job: Job) -> str | None:
    """Return why a run failed, or None if it succeeded."""
    record = job.run.folder.read()
    if record is None:
        return "no result"
    return None if record.status == "ok" else printable(str(record.row.get("error")))


def _made_here(job: Job) -> str:
    """Make a run in this process and return how it ended; what could not be recorded gets a row that says so."""
    before = job.run.folder.read()
    try:
        return make_run(job.run, wait=False)
    except ConfigError:
        raise
    except Exception as error:  # whatever a run raises, the others are made
        return _died(job, before, error)


def _launched(jobs: Sequence[Job], launcher: Launcher) -> list[str]:
    """Launch jobs and return how each ended; a run that a launcher lost gets a row that says so.

    A cluster launcher raises when it loses one job, and does not report the others: their folders do.
    """
    before = {job.run.folder.path: job.run.folder.read() for job in jobs}
    try:
        returns = launcher.launch([list(job.overrides) for job in jobs], 0)
    except ConfigError:
        raise
    except Exception as error:  # whatever a launcher raises, the other runs are kept
        reason = f"the launcher failed: {type(error).__name__}: {error}"
        say(printable(reason))
        return [_lost(job, before[job.run.folder.path], reason) for job in jobs]
    return [
        _status(result, job, before[job.run.folder.path])
        for result, job in zip(returns, jobs, strict=True)
    ]


def _status(result: JobReturn, job: Job, before: RunRecord | None) -> str:
    """Return what a job said; for a job that died without a result, what its folder says."""
    if result.status == JobStatus.COMPLETED:
        return str(result.return_value)
    error = result._return_value
    if isinstance(error, ConfigError):
        raise error
    return _died(job, before, error)


def _died(job: Job, before: RunRecord | None, error: Exception) -> str:
    reason = f"the job died: {type(error).__name__}: {error}"
    say(printable(f"{job.run.folder.run_id}: {reason}"))
    return _lost(job, before, reason)


def _lost(job: Job, before: RunRecord | None, reason: str) -> str:
    """Return how a run ended whose job returned no status; if it left no new outcome, its row says why."""
    now = job.run.folder.read()
    if now is not None and now != before:
        return now.status
    try:
        record_lost(job.run, reason)
    except OSError as error:
        say(f"{job.run.folder.run_id}: this could not be recorded: {error}")
    return "failed"


def _show(folders: Sequence[Path], jobs: Sequence[Job]) -> int:
    """Print each sweep's table; return how many of the jobs failed."""
    for folder in folders:
        results = rebuild(folder)
        run_ids = [job.run.folder.run_id for job in jobs if job.run.folder.sweep_path == folder]
        show(about(summarise(folder), run_ids))
        if line := cost_line(results[results["run_id"].isin(run_ids)]):
            say(f"\n{line}")
        say(f"{folder / 'results.csv'}")
    return sum(not _is_ok(job) for job in jobs)


def _is_ok(job: Job) -> bool:
    record = job.run.folder.read()
    return record is not None and record.status == "ok"
