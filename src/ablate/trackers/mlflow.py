"""MLflow, by its client alone: nothing global is set, so that any process may have runs of its own."""

import logging
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ablate.config.schema.trackers import FILE, MlflowTracker
from ablate.results.files import locked
from ablate.trackers.base import Facts, Outcome, Tracker

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

T = TypeVar("T")
_STATUS = {"ok": "FINISHED", "interrupted": "KILLED"}
# What a request may hold. Each is a transaction, which takes some 10 ms.
_MOST_METRICS, _MOST_PARAMETERS = 1000, 100
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_\-. /]")


class Mlflow(Tracker):
    """Steps are kept until there are enough for a request."""

    def __init__(self, config: MlflowTracker) -> None:
        """Keep where to write."""
        self._config = config
        self._client: MlflowClient
        self._run_id = ""
        self._waiting: list[Metric] = []

    def start(self, run: Facts) -> None:
        """Create the run, and its experiment where there is none of that name."""
        # It would report to its makers how it is used.
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        from mlflow import MlflowClient
        from mlflow.entities import Param

        # It says on standard error that it makes a database.
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)
        with self._alone():
            self._client = MlflowClient(tracking_uri=self._config.tracking_uri)
            experiment_id = self._experiment_id()
        tags = {"group": run.group, **({"ablation": run.tags[0]} if run.tags else {})}
        created = self._client.create_run(experiment_id, tags=tags, run_name=run.run_id)
        self._run_id = created.info.run_id
        parameters = [Param(_name(key), str(value)) for key, value in run.values.items()]
        for some in _batches(parameters, _MOST_PARAMETERS):
            self._client.log_batch(self._run_id, params=some)

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """Keep the numbers; write them when there are many."""
        self._keep(step, numbers)
        if len(self._waiting) >= _MOST_METRICS // 2:
            self._write()

    def finish(self, outcome: Outcome) -> None:
        """Write what is left, and end the run."""
        self._keep(0, outcome.numbers)
        self._write()
        self._client.set_tag(self._run_id, "status", outcome.status)
        if outcome.error is not None:
            self._client.set_tag(self._run_id, "error", outcome.error)
        self._client.set_terminated(self._run_id, _STATUS.get(outcome.status, "FAILED"))

    def _keep(self, step: int, numbers: Mapping[str, float]) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self._waiting += [Metric(_name(key), value, now, step) for key, value in numbers.items()]

    def _write(self) -> None:
        for some in _batches(self._waiting, _MOST_METRICS):
            self._client.log_batch(self._run_id, metrics=some)
        self._waiting = []

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes from making the database, or the experiment in it, at the same time."""
        if not self._config.is_file:
            yield
            return
        file = Path(self._config.tracking_uri.removeprefix(FILE))
        file.parent.mkdir(parents=True, exist_ok=True)
        with locked(file.with_name(f"{file.name}.lock")):
            yield

    def _experiment_id(self) -> str:
        name = self._config.experiment
        found = self._client.get_experiment_by_name(name)
        return str(self._client.create_experiment(name) if found is None else found.experiment_id)


def _name(key: str) -> str:
    """Write a key with the characters that names may have; another one becomes its code."""
    return _NOT_IN_NAMES.sub(lambda found: f"_u{ord(found[0]):04x}_", key)


def _batches(values: Sequence[T], most: int) -> Iterator[list[T]]:
    left = iter(values)
    while some := list(islice(left, most)):
        yield some
