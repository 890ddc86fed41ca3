"""A suite of tasks asked after training; text tasks of an untouched language model only once."""

import hashlib
import json
import logging
from dataclasses import asdict
from pathlib import Path

from ablate.models.compute import Compute
from ablate.models.vlm import VisionLanguageModel
from ablate.results.items import ItemResult
from ablate.results.record import TaskResult
from ablate.runner.cache import writing
from ablate.runner.prepare import PreparedRun
from ablate.runner.progress import stage_bar
from ablate.tasks.base import Task, TaskOutcome

log = logging.getLogger(__name__)

_ASKED: dict[str, TaskOutcome] = {}


def ask_suite(
    prepared: PreparedRun, vlm: VisionLanguageModel, compute: Compute, language_trained: bool
) -> list[TaskOutcome]:
    """Ask every task of a run's suite.

    What an untouched language model says to a text task depends on neither encoder nor method nor
    seed: it is asked once and kept below the output folder, for other runs and processes.

    Args:
        prepared: The run.
        vlm: The trained, merged model.
        compute: Device and precision.
        language_trained: Whether the run has changed the language model.
    """
    n_items = sum(task.n for task in prepared.tasks)
    outcomes = []
    with stage_bar("tasks", n_items, "item") as advance:
        for task in prepared.tasks:
            if task.kind == "text" and not language_trained:
                outcomes.append(_ask_once(task, prepared, vlm, compute))
                advance(task.n)
            else:
                outcomes.append(task.ask(vlm, prepared.config.eval, advance))
    return outcomes


def _ask_once(
    task: Task, prepared: PreparedRun, vlm: VisionLanguageModel, compute: Compute
) -> TaskOutcome:
    key = _key(task, prepared, compute)
    if key not in _ASKED:
        file = prepared.cache_folder / f"text-{key[:16]}.json"
        found = _read(file, key)
        if found is None:
            found = task.ask(vlm, prepared.config.eval, lambda _: None)
            _write(file, key, found)
        _ASKED[key] = found
    return _ASKED[key]


def _key(task: Task, prepared: PreparedRun, compute: Compute) -> str:
    prints, model = prepared.fingerprints, prepared.config.model
    determining = {
        "task": [task.name, task.fingerprint],
        "language": prints.get("language") or prints["llava"],
        "prompt": model.prompt,
        "max_new_tokens": prepared.config.eval.max_new_tokens,
        "compute": [str(compute.device), compute.precision],
    }
    return hashlib.sha256(json.dumps(determining, sort_keys=True).encode()).hexdigest()


def _read(file: Path, key: str) -> TaskOutcome | None:
    """Read an entry; one that is damaged or belongs to something else counts as absent."""
    if not file.exists():
        return None
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if content["key"] != key:
            raise ValueError("another key")
        items = [
            ItemResult(**{**item, "option_logprobs": tuple(item["option_logprobs"])})
            for item in content["items"]
        ]
        outcome = TaskOutcome(TaskResult(**content["result"]), tuple(items))
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("task cache %s cannot be used (%s); asking again", file, error)
        return None
    log.info("%s read from %s", outcome.result.task, file)
    return outcome


def _write(file: Path, key: str, outcome: TaskOutcome) -> None:
    items = [asdict(item) for item in outcome.items]
    content = {"key": key, "result": asdict(outcome.result), "items": items}
    with writing(file) as temporary:
        temporary.write_text(json.dumps(content), encoding="utf-8")
