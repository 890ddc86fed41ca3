"""The runs that wait, and the workers of Ray's that make them.

Ray lends GPUs to workers and never one to two. The queue is ours: a worker takes the next run when it is done with
one, so that the model stays loaded, and a run whose worker died is made again by another.
"""

import os
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablate.clusters.launcher import Ended, lost
from ablate.clusters.worker import Job, Place, Worker, interrupt
from ablate.config.errors import one_line
from ablate.results.record import Status
from ablate.telemetry.progress import say

_LOOK_SECONDS = 1.0
# For a run to leave its row, and what it has trained so far.
_GRACE_SECONDS = 60.0
# So many workers in a row that could not start mean that none can.
_ENOUGH = 3


@dataclass(frozen=True)
class Needs:
    """What one run takes.

    Attributes:
        gpus: GPUs, which no other run has meanwhile.
        cpus: Threads; None for an even share of its machine's cores.
        tries: How many processes may die while they make it.
    """

    gpus: int
    cpus: int | None
    tries: int


@dataclass
class _Lent:
    """A worker that was asked for.

    Attributes:
        actor: Ray's handle.
        place: Where it is; None until it has started.
        index: The run that it makes; None without one.
    """

    actor: Any
    place: Place | None = None
    index: int | None = None


class Pool:
    """Makes runs until each has ended."""

    def __init__(
        self,
        ray: Any,  # noqa: ANN401  # a module without types
        needs: Needs,
        job: Job,
        job_overrides: Sequence[Sequence[str]],
    ) -> None:
        """Put the runs into the queue.

        Args:
            ray: Ray, connected.
            needs: What one run takes.
            job: Makes a run of Hydra overrides.
            job_overrides: What each is composed from.
        """
        self._ray, self._needs, self._overrides = ray, needs, job_overrides
        self._waiting = deque(range(len(job_overrides)))
        self._deaths: Counter[int] = Counter()
        self._failed_starts = 0
        self._lent: dict[Any, _Lent] = {}
        self._job = ray.put(job)
        # Runs on the CPU wait for cores; those on a GPU do not.
        lent = {"num_gpus": needs.gpus, "num_cpus": 0 if needs.gpus else needs.cpus or 1}
        self._actor = ray.remote(**lent, max_restarts=0)(Worker)

    def ended(self) -> Iterator[Ended]:
        """Yield each run as it ends.

        Raises:
            RuntimeError: If no worker can be started.
        """
        room = self._room()
        if not room:
            say("no machine of this Ray has what one run needs; waiting for one")
        for _ in range(min(len(self._waiting), max(room, 1))):
            self._ask()
        while self._waiting or self._busy():
            done, _ = self._ray.wait(list(self._lent), num_returns=1, timeout=_LOOK_SECONDS)
            for reference in done:
                lent = self._lent.pop(reference)
                if lent.place is None:
                    self._start(lent, reference)
                elif (ended := self._end(lent, lent.place, reference)) is not None:
                    yield ended
            # One more than fits is asked for, to be there when a worker dies or a cluster grows.
            if self._waiting and all(lent.place for lent in self._lent.values()):
                self._ask()

    def stop(self) -> None:
        """Interrupt the runs that are left, and give each time to leave its row."""
        busy = self._busy()
        if not busy:
            return
        say(f"interrupting {len(busy)} runs")
        on = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
        order = self._ray.remote(num_cpus=0)(interrupt)
        orders = [
            order.options(scheduling_strategy=on(place.node, soft=True)).remote(place.process)
            for lent in busy.values()
            if (place := lent.place) is not None
        ]
        for references in (orders, list(busy)):
            self._ray.wait(references, num_returns=len(references), timeout=_GRACE_SECONDS)

    def _busy(self) -> dict[Any, _Lent]:
        return {r: lent for r, lent in self._lent.items() if lent.index is not None}

    def _ask(self) -> None:
        """Ask for one more worker; Ray starts it once its GPUs are free."""
        actor = self._actor.remote(self._job, str(Path.cwd()))
        self._lent[actor.place.remote()] = _Lent(actor)

    def _start(self, lent: _Lent, reference: Any) -> None:  # noqa: ANN401  # Ray's own type
        """Give a worker that has started its first run."""
        try:
            lent.place = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            self._failed_starts += 1
            if self._failed_starts >= _ENOUGH:
                raise RuntimeError(f"no worker could be started: {_words(error)}") from error
            return
        self._failed_starts = 0
        self._give(lent, lent.place)

    def _end(self, lent: _Lent, place: Place, reference: Any) -> Ended | None:  # noqa: ANN401  # as above
        """Return the run that a worker has made, and give it another; None for a run that is made again."""
        index, lent.index = lent.index, None
        assert index is not None
        exceptions = self._ray.exceptions
        try:
            result = self._ray.get(reference)
        except exceptions.RayTaskError as error:
            if not isinstance(error, exceptions.TaskCancelledError):
                result = lost(f"its {place} raised {_words(error.cause or error)}", "failed")
            else:
                return self._died(lent, index, f"its {place} was interrupted")
        except exceptions.RayError as error:
            return self._died(lent, index, f"its {place} died: {_words(error)}")
        self._give(lent, place)
        return index, result

    def _died(self, lent: _Lent, index: int, why: str) -> Ended | None:
        """Queue a run again, unless enough processes have died of it."""
        self._ray.kill(lent.actor)
        self._deaths[index] += 1
        if self._deaths[index] < self._needs.tries:
            say(f"run {index + 1} of {len(self._overrides)} is made again: {why}")
            self._waiting.appendleft(index)
            return None
        status: Status = "oom" if "low on memory" in why else "failed"
        return index, lost(
            f"{why}; {self._deaths[index]} processes have died making this run", status
        )

    def _give(self, lent: _Lent, place: Place) -> None:
        """Give a worker the next run; without one, workers that have none are dismissed."""
        if self._waiting:
            lent.index = self._waiting.popleft()
            overrides = list(self._overrides[lent.index])
            self._lent[lent.actor.make.remote(overrides, self._threads(place))] = lent
            return
        self._ray.kill(lent.actor)
        for reference, other in list(self._lent.items()):
            if other.index is None:
                del self._lent[reference]
                self._ray.kill(other.actor)

    def _room(self) -> int:
        """Return how many runs the machines that are there can make at once."""
        needs = self._needs
        key, need = ("GPU", needs.gpus) if needs.gpus else ("CPU", needs.cpus or 1)
        return sum(int(has.get(key, 0) // need) for has in self._machines().values())

    def _machines(self) -> Mapping[str, Mapping[str, float]]:
        return {node["NodeID"]: node["Resources"] for node in self._ray.nodes() if node["Alive"]}

    def _threads(self, place: Place) -> int:
        """Return the threads of a run: what was said, else its share of its machine's cores."""
        said = self._needs.cpus or int(os.environ.get("OMP_NUM_THREADS", 0))
        if said or not self._needs.gpus:
            return said or 1
        has = self._machines().get(place.node, {})
        runs = max(has.get("GPU", 0) // self._needs.gpus, 1)
        return max(int(has.get("CPU", 1) // runs), 1)


def _words(error: BaseException) -> str:
    """Return the last line of what Ray says, without its advice."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    return one_line(lines[-1].partition(" Some common causes")[0])
