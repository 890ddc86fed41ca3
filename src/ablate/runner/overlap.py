"""No run is tested on what it was trained on: its training items against all that it is evaluated on, by content."""

from collections.abc import Iterable

from ablate.config.errors import ConfigError
from ablate.config.schema import FewShotData
from ablate.config.text import printable
from ablate.data.contents import Contents, part_contents, shared
from ablate.data.types import ImageClassification
from ablate.evaluation.task import Task
from ablate.recipes.few_shot import session_rows

# By task: its items; tasks live as long as the process.
_known: dict[str, Contents | None] = {}


def check_apart(
    target: ImageClassification, config: FewShotData, seed: int, tasks: Iterable[Task]
) -> None:
    """Check that no training item is an evaluated one: the same picture, about which the same is asked.

    Of what is evaluated, images about which the same is asked are decoded once in a process.

    Args:
        target: What is trained on.
        config: Its configuration.
        seed: Seed of the run, by which its training items are drawn.
        tasks: What the run is evaluated on.

    Raises:
        ConfigError: If one is; it names both.
    """
    rows = [row for session in session_rows(target, config, seed) for row in session]
    trained = part_contents(target, rows, is_test=False)
    for task in tasks:
        evaluated = _contents(task)
        found = [] if evaluated is None else shared(trained, evaluated)
        if found:
            own, other = found[0]
            raise ConfigError(
                f"{len(found)} of the {len(rows)} items that '{config.name}' is trained on with seed {seed} are"
                f" items of {task.kind} '{task.name}', such as '{printable(target.train.ids[rows[own]])}' and its"
                f" number {other + 1}: the run would be tested on what it was trained on. Fix: {_fix(task)}."
            )


def _contents(task: Task) -> Contents | None:
    key = f"{task.kind}/{task.name}/{task.fingerprint}"
    if key not in _known:
        _known[key] = task.contents()
    return _known[key]


def _fix(task: Task) -> str:
    if task.kind == "target":
        return "remove one of each pair from the data"
    if task.kind == "control":
        return f"leave the control out, or choose other parts of '{task.name}'"
    return f"~tasks.tasks.{task.name}, or choose another part of its data"
