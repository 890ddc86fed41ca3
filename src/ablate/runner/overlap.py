"""No run is tested on what it was trained on: its training items against all that it is evaluated on, by content."""

from collections.abc import Iterable

from ablate.config.errors import ConfigError
from ablate.config.schema import FewShotData
from ablate.config.text import printable
from ablate.data.contents import part_contents
from ablate.data.types import ImageClassification
from ablate.evaluation.task import Task
from ablate.recipes.few_shot import session_rows

# By task: the hash of every item's content, and its place; tasks live as long as the process.
_known: dict[str, dict[bytes, int]] = {}


def check_apart(
    target: ImageClassification, config: FewShotData, seed: int, tasks: Iterable[Task]
) -> None:
    """Check that no training item is an evaluated one: the same picture, about which the same is asked.

    Every image that is evaluated is decoded once in a process, and the training images of every run.

    Args:
        target: What is trained on.
        config: Its configuration.
        seed: Seed of the run, by which its training items are drawn.
        tasks: What the run is evaluated on.

    Raises:
        ConfigError: If one is; it names both.
    """
    rows = [row for session in session_rows(target, config, seed) for row in session]
    trained = dict(zip(part_contents(target, rows, is_test=False), rows, strict=True))
    for task in tasks:
        evaluated = _contents(task)
        shared = [content for content in trained if content in evaluated]
        if shared:
            own, other = target.train.ids[trained[shared[0]]], evaluated[shared[0]]
            raise ConfigError(
                f"{len(shared)} of the {len(trained)} items that '{config.name}' is trained on with seed {seed} are"
                f" items of {task.kind} '{task.name}', such as '{printable(own)}' and its number {other + 1}: the run"
                f" would be tested on what it was trained on. Fix: {_fix(task)}."
            )


def _contents(task: Task) -> dict[bytes, int]:
    key = f"{task.kind}/{task.name}/{task.fingerprint}"
    if key not in _known:
        _known[key] = {content: place for place, content in enumerate(task.contents())}
    return _known[key]


def _fix(task: Task) -> str:
    if task.kind == "target":
        return "remove one of each pair from the data"
    if task.kind == "control":
        return f"leave the control out, or choose other parts of '{task.name}'"
    return f"~tasks.tasks.{task.name}, or choose another part of its data"
