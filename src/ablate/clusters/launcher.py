"""What a launcher on a cluster offers beyond Hydra's: every job as it ends, and why it ended without a result."""

from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher

from ablate.results.record import Status

Ended = tuple[int, JobReturn]


@runtime_checkable
class StreamingLauncher(Protocol):
    """A launcher that tells of each job when it ends."""

    def check(self) -> None:
        """Check that jobs can be made here, before anything is loaded.

        Raises:
            ConfigError: If not.
        """
        ...

    def stream(self, job_overrides: Sequence[Sequence[str]]) -> Iterator[Ended]:
        """Launch jobs and yield each as it ends, in whichever order that is.

        Closing the iterator stops the jobs that are left.

        Args:
            job_overrides: What each job is composed from.

        Yields:
            The job's place in `job_overrides`, and what Hydra says of it.
        """
        ...


AnyLauncher = Launcher | StreamingLauncher


class JobEndedError(RuntimeError):
    """A job ended and did not say how its run did; the text says what is known of it.

    Attributes:
        status: What that makes of its run.
    """

    def __init__(self, text: str, status: Status) -> None:
        super().__init__(text)
        self.status = status


def lost(text: str, status: Status) -> JobReturn:
    """Return what Hydra would say of a job that ended without a result."""
    return JobReturn(status=JobStatus.FAILED, _return_value=JobEndedError(text, status))
