"""What a run has evaluated so far, in a file of its folder until it has ended."""

import hashlib
import json
import logging
from dataclasses import asdict
from pathlib import Path

import ablate
from ablate.evaluation.progress import Found
from ablate.results.files import write_text
from ablate.results.items import item_result

log = logging.getLogger(__name__)


class KeptAnswers:
    """The items that a run has answered, by task and weights.

    They stand in a file of their own: the state of a training may take gigabytes, and does not change while its model
    is evaluated.

    Attributes:
        seconds: What evaluation had cost when they were kept.
    """

    def __init__(self, file: Path) -> None:
        """Read what an earlier process has kept; what is damaged, or of another version, counts as absent."""
        self._file = file
        self._tasks: dict[str, Found] = {}
        self.seconds = 0.0
        if not file.exists():
            return
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            if content["version"] != ablate.__version__:
                raise ValueError(f"version {content['version']}")
            if content["sha256"] != _digest(content["tasks"]):
                raise ValueError("changed since it was written")
            self._tasks = {
                key: {
                    metric: {int(number): item_result(item) for number, item in results.items()}
                    for metric, results in found.items()
                }
                for key, found in content["tasks"].items()
            }
            self.seconds = float(content["seconds"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            log.warning("answers %s cannot be used (%s); evaluating again", file, error)
            self._tasks = {}

    def of(self, key: str) -> Found:
        """Return what is answered of a task; `key` says which task, and of which weights."""
        return self._tasks.setdefault(key, {})

    def write(self, seconds: float) -> None:
        """Write everything down; what cannot be written does not stop the run.

        Args:
            seconds: What evaluation has cost so far.
        """
        tasks = {
            key: {
                metric: {str(number): asdict(item) for number, item in results.items()}
                for metric, results in found.items()
            }
            for key, found in self._tasks.items()
        }
        content = {
            "version": ablate.__version__,
            "seconds": seconds,
            "sha256": _digest(tasks),
            "tasks": tasks,
        }
        try:
            write_text(self._file, json.dumps(content))
        except OSError as error:
            log.warning("the answers so far could not be kept: %s", error)


def _digest(tasks: object) -> str:
    return hashlib.sha256(json.dumps(tasks, sort_keys=True).encode()).hexdigest()
