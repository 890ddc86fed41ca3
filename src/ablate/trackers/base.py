"""What a tracker is: three calls, each with plain values."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from ablate.results.record import Cell, Status


@dataclass(frozen=True)
class Facts:
    """What is known of a run when it begins.

    Attributes:
        run_id: Its name, the same in results.csv.
        group: Name of its configuration: runs of one group differ in nothing but the seed.
        tags: The ablation's name, if it has one.
        values: Everything that determines its numbers, by dotted key, and the columns of results.csv that describe
            it; texts may come from outside.
    """

    run_id: str
    group: str
    tags: tuple[str, ...]
    values: Mapping[str, Cell]


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        status: As in results.csv.
        error: Why it failed; None if it did not.
        numbers: The metrics of results.csv, by column; those of tasks.csv as `tasks/KIND/TASK/METRIC`, with
            `/before` behind it for the base model's. What was not measured is absent.
    """

    status: Status
    error: str | None
    numbers: Mapping[str, float]


class Tracker(ABC):
    """Takes the numbers of one run.

    The calls come in their order: `start`, any number of `log`, `finish`. One that raises is the last: the run goes
    on without this tracker.
    """

    @abstractmethod
    def start(self, run: Facts) -> None:
        """Begin a run; the tracker's library is imported here, not before."""

    @abstractmethod
    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """Take the numbers of one training step.

        Args:
            step: Counted from 0 through the stages that this process trains; of a stage that an earlier one began,
                from where it was.
            numbers: `STAGE/loss` and `STAGE/learning_rate`.
        """

    @abstractmethod
    def finish(self, outcome: Outcome) -> None:
        """End the run; everything has been written, or handed to whoever sends it, when this returns."""
