"""From a suite's configuration to tasks that can be evaluated, before any model is loaded."""

from ablate.config.errors import ConfigError, unknown
from ablate.config.schema.suites import SuiteConfig
from ablate.config.schema.tasks import (
    BoxTask,
    ChoicesTask,
    LmEvalTask,
    OpenTask,
    ShapesTask,
    TaskConfig,
    WordsTask,
    YesNoTask,
)
from ablate.evaluation.task import Task


def load_suite(config: SuiteConfig) -> dict[str, Task]:
    """Load every task of a suite and check the names of its stable tasks.

    Returns:
        The tasks by name, in the suite's order.

    Raises:
        ConfigError: If a stable task is not in the suite or of another kind, or a task's data are
            missing or do not fit its configuration.
    """
    for kind, names in (("vision", config.stable.vision), ("text", config.stable.text)):
        for name in () if names == "auto" else names:
            if name not in config.tasks:
                raise unknown(f"task in tasks.stable.{kind}", name, config.tasks)
            if config.tasks[name].kind != kind:
                raise ConfigError(
                    f"tasks.stable.{kind} names '{name}', which is a {config.tasks[name].kind} "
                    f"task. Fix: move it to tasks.stable.{config.tasks[name].kind}."
                )
    return {name: load_task(name, task) for name, task in config.tasks.items()}


def load_task(name: str, config: TaskConfig, first: int | None = None) -> Task:
    """Load a task's items and check them.

    Args:
        name: Name in the tables.
        config: The task.
        first: Only so many rows of a table, read without the rest; None for all.

    Returns:
        The task; images are decoded only while it is evaluated.

    Raises:
        ConfigError: If its data are missing or broken or do not fit the configuration.
    """
    # Imported where needed: `datasets` takes a second to import, lm-eval is optional and takes ten.
    match config:
        case ShapesTask() | WordsTask():
            from ablate.evaluation.tasks.choices import ChoiceTask
            from ablate.world.tasks import task_items

            return ChoiceTask(name, config, *task_items(name, config))
        case OpenTask() | YesNoTask() | BoxTask():
            from ablate.evaluation.tasks.adapters import generated_task

            return generated_task(name, config, first)
        case ChoicesTask():
            from ablate.evaluation.tasks.table_choices import TableChoices

            return TableChoices(name, config, first)
        case LmEvalTask():
            from ablate.evaluation.tasks.harness import HarnessTask

            return HarnessTask(name, config)
