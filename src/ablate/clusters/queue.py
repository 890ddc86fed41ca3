"""What Slurm says of its jobs: `squeue` while it remembers them, `sacct` afterwards."""

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

# States that a job does not leave; `man squeue`, job state codes.
_ENDED = frozenset(
    {
        "BOOT_FAIL",
        "CANCELLED",
        "COMPLETED",
        "DEADLINE",
        "FAILED",
        "NODE_FAIL",
        "OUT_OF_MEMORY",
        "PREEMPTED",
        "REVOKED",
        "TIMEOUT",
    }
)
_FORMAT = "%i|%T|%M|%l"
_TIMEOUT_SECONDS = 60


@dataclass(frozen=True)
class JobState:
    """What is known of a job.

    Attributes:
        state: Slurm's word for it, such as TIMEOUT.
        ran: How long it ran, as Slurm writes it.
        limit: Its time limit, in the same form.
    """

    state: str
    ran: str
    limit: str

    @property
    def has_ended(self) -> bool:
        """Whether the job does not run and will not."""
        return self.state in _ENDED

    def __str__(self) -> str:
        return f"{self.state} after {self.ran} of {self.limit}" if self.ran else self.state


def job_states(job_ids: Sequence[str]) -> dict[str, JobState]:
    """Ask Slurm for the state of jobs.

    Args:
        job_ids: Ids as submitit writes them: `7`, or `7_2` for the third job of an array.

    Returns:
        State by id; a job that Slurm no longer knows is `UNKNOWN`, and none has a state while Slurm cannot be reached.
    """
    numbers = ",".join(dict.fromkeys(job_id.partition("_")[0] for job_id in job_ids))
    asked = _call(
        [
            "squeue",
            "--noheader",
            "--array",
            "--states=all",
            f"--format={_FORMAT}",
            f"--jobs={numbers}",
        ]
    )
    # Slurm forgets ended jobs after a while (MinJobAge), which is an error only where it has forgotten all of them.
    if asked.returncode and "Invalid job id" not in asked.stderr:
        return {}
    states = _read(asked.stdout)
    forgotten = [job_id for job_id in job_ids if job_id not in states]
    if forgotten:
        states |= _accounted(numbers)
    return {job_id: states.get(job_id, JobState("UNKNOWN", "", "")) for job_id in job_ids}


def _accounted(numbers: str) -> dict[str, JobState]:
    """Ask the accounting database, which not every cluster has."""
    asked = _call(
        [
            "sacct",
            "--noheader",
            "--parsable2",
            "--allocations",
            "--format=JobID,State,Elapsed,Timelimit",
            f"--jobs={numbers}",
        ]
    )
    return _read(asked.stdout) if not asked.returncode else {}


def cancel(job_ids: Sequence[str]) -> str | None:
    """Cancel jobs; return why that failed, None if it did not."""
    asked = _call(["scancel", *job_ids])
    return asked.stderr.strip() or f"exit code {asked.returncode}" if asked.returncode else None


def partitions() -> list[str]:
    """Name the partitions that jobs can be sent to; none if Slurm cannot be reached."""
    asked = _call(["sinfo", "--noheader", "--format=%R"])
    return sorted(set(asked.stdout.split())) if not asked.returncode else []


def _read(table: str) -> dict[str, JobState]:
    states = {}
    for line in table.splitlines():
        fields = [field.strip() for field in line.split("|")]
        if len(fields) == 4 and fields[1]:
            # sacct adds who cancelled a job.
            states[fields[0]] = JobState(fields[1].split()[0], *fields[2:])
    return states


def _call(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command of Slurm's; one that is missing or hangs has failed."""
    program = shutil.which(command[0])
    if program is None:
        return subprocess.CompletedProcess(command, 127, "", f"{command[0]} is not installed")
    try:
        return subprocess.run(
            [program, *command[1:]],
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 124, "", f"{command[0]} does not answer")
