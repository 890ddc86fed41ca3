"""One cache of answers, in memory and on disk, by task and weights: what is known need not be evaluated again."""

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from ablate.config.schema import EvalConfig
from ablate.evaluation.task import Answers, Task
from ablate.models.compute import Compute
from ablate.models.vlm import VisionLanguageModel
from ablate.results.cache import writing
from ablate.results.items import ItemResult

log = logging.getLogger(__name__)

_held: dict[str, Answers] = {}


@dataclass(frozen=True)
class AnswerCache:
    """The answers of models that no run has trained: the base model, and a frozen language model on text.

    They depend on neither method nor seed, so the runs of one process, of one sweep and of all sweeps below one
    output folder share them.

    Attributes:
        folder: Where they are kept.
        config: Items per forward pass, longest answer.
        compute: Device and precision.
    """

    folder: Path
    config: EvalConfig
    compute: Compute

    def answers(
        self, task: Task, weights: str, vlm: VisionLanguageModel, on_items: Callable[[int], None]
    ) -> Answers:
        """Return a model's answers to a task, from memory or disk if they are there.

        Args:
            task: The task.
            weights: Hash of the weights that its answers depend on, and of the prompt.
            vlm: The model with these weights.
            on_items: Called with the number of items answered.
        """
        key = self._key(task, weights)
        if key not in _held:
            file = self.folder / f"answers-{key[:16]}.json"
            found = _read(file, key)
            if found is None:
                found = task.evaluate(vlm, self.config, on_items)
                _write(file, key, found)
            else:
                log.info("%s read from %s", task.name, file)
                on_items(task.n)
            _held[key] = found
        else:
            on_items(task.n)
        return _held[key]

    def _key(self, task: Task, weights: str) -> str:
        """Hash what determines answers, bit for bit: another batch size or number of threads rounds differently."""
        determining = {
            "task": task.fingerprint,
            "metrics": [metric.name for metric in task.metrics],
            "weights": weights,
            "batch_size": self.config.batch_size,
            "max_new_tokens": self.config.max_new_tokens,
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
            metric: tuple(
                ItemResult(**{**item, "option_logprobs": tuple(item["option_logprobs"])})
                for item in items
            )
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
