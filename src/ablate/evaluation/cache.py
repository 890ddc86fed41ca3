"""One cache of answers, in memory and on disk, by task and weights: what is known need not be evaluated again."""

import hashlib
import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from ablate.config.schema import EvalConfig
from ablate.evaluation.task import Answers, Task
from ablate.models.compute import Compute
from ablate.results.cache import writing
from ablate.results.items import item_result

log = logging.getLogger(__name__)

_held: dict[str, Answers] = {}


@dataclass(frozen=True)
class AnswerCache:
    """The answers of models that no run has trained: the base model, and a frozen language model on text.

    They depend on neither method nor seed, so the runs of one process, of one sweep and of all sweeps below one
    output folder share them.

    Attributes:
        folder: Where they are kept.
        compute: Device and precision.
    """

    folder: Path
    compute: Compute

    def find(self, key: str, task: Task) -> Answers | None:
        """Return the answers to a task from memory or disk, if they are there."""
        if key not in _held:
            file = self._file(key)
            found = _read(file, key)
            if found is None:
                return None
            log.info("%s read from %s", task.name, file)
            _held[key] = found
        return _held[key]

    def add(self, key: str, answers: Answers) -> None:
        """Keep answers in memory and on disk."""
        _write(self._file(key), key, answers)
        _held[key] = answers

    def has(self, key: str) -> bool:
        """Tell whether there is an entry; a damaged one counts, too."""
        return key in _held or self._file(key).exists()

    def _file(self, key: str) -> Path:
        return self.folder / f"answers-{key[:16]}.json"

    def key(self, task: Task, weights: str, config: EvalConfig) -> str:
        """Hash what determines answers, bit for bit: another batch size or number of threads rounds differently.

        Args:
            task: The task.
            weights: Hash of the weights that its answers depend on, and of the prompt.
            config: Items per forward pass, longest answer.
        """
        determining = {
            "task": task.fingerprint,
            "metrics": [metric.name for metric in task.metrics],
            "weights": weights,
            "batch_size": config.batch_size,
            "max_new_tokens": config.max_new_tokens,
            "compute": [str(self.compute.device), self.compute.precision],
            "threads": torch.get_num_threads(),
        }
        return hashlib.sha256(json.dumps(determining, sort_keys=True).encode()).hexdigest()


def _read(file: Path, key: str) -> Answers | None:
    """Read an entry; one that is damaged or belongs to something else counts as absent."""
    if not file.exists():
        return None
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if content["key"] != key:
            raise ValueError("another key")
        return {
            metric: tuple(item_result(item) for item in items)
            for metric, items in content["answers"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        log.warning("answers %s cannot be used (%s); evaluating again", file, error)
        return None


def _write(file: Path, key: str, answers: Answers) -> None:
    content = {
        "key": key,
        "answers": {metric: [asdict(item) for item in items] for metric, items in answers.items()},
    }
    with writing(file) as temporary:
        temporary.write_text(json.dumps(content), encoding="utf-8")
