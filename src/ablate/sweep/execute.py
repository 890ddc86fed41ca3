"""Prepared runs through a launcher, with a bar, a line for each, and a table at the end."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from ablate.clusters.launcher import AnyLauncher, StreamingLauncher
from ablate.config.text import printable
from ablate.models.remembered import store
from ablate.report.publish import about, summarise
from ablate.report.tables.show import show
from ablate.results.cache import tidy
from ablate.results.console import cost_line, outcome_line
from ablate.results.repair import repair
from ablate.results.tables import rebuild
from ablate.runner.done import is_done, set_damage_aside, update_record
from ablate.runner.job import BUSY
from ablate.sweep.launch import Job, is_incremental, outcomes
from ablate.sweep.live import LiveSweep
from ablate.telemetry.progress import say
from ablate.trackers.tracking import send

# After this many failures for one reason a sweep prints a warning.
_ENOUGH = 3


class RunsFailedError(RuntimeError):
    """At least one run failed; the others are done and recorded."""


def execute(jobs: Sequence[Job], launcher: AnyLauncher) -> None:
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
            send(job.run.config.tracker, job.run.folder)
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


def _launch(jobs: Sequence[Job], launcher: AnyLauncher, label: str) -> None:
    """Make the runs; those in use by another process are waited for, and made if they are not done then."""
    errors: list[str | None] = []
    with LiveSweep.of(label, [job.run for job in jobs]) as live:
        left = list(jobs)
        while left:
            busy: list[Job] = []
            with closing(outcomes(left, launcher)) as ended:
                for job, status in ended:
                    if status == BUSY:
                        busy.append(job)
                        continue
                    say(outcome_line(job.run.folder))
                    live.ended(job.run)
                    errors.append(_error_of(job))
                    if not is_incremental(launcher):
                        continue
                    _warn_of_common_failure(errors, len(jobs))
                    if errors[-1] is not None and job.run.config.fail_fast:
                        fate = "were stopped or " if isinstance(launcher, StreamingLauncher) else ""
                        say(
                            f"fail_fast: stopped after a failed run; {len(jobs) - len(errors)} runs {fate}did not begin"
                        )
                        return
            left = []
            for job in busy:
                say(f"{job.run.folder.run_id}: in use by another process; waiting")
                with job.run.folder.owned(wait=True):
                    pass
                if is_done(job.run):
                    say(outcome_line(job.run.folder))
                    live.ended(job.run)
                else:
                    left.append(job)


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
