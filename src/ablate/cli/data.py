"""`ablate data check`: what of a data set or of a task's table fits, before hours are spent on it."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from ablate.cli.explain import explain
from ablate.cli.parser import Parser
from ablate.config.errors import ConfigError, one_line, unknown
from ablate.config.folder import config_folder, group_files

if TYPE_CHECKING:
    from ablate.config.schema.data import DataConfig
    from ablate.config.schema.tasks import TaskConfig
    from ablate.data.check import Findings

HELP = """\
ablate data - look at data

usage: ablate data check NAME [KEY=VALUE ...] [--rows N] [--config-dir FOLDER]

  NAME          one of `ablate list data`, or task/NAME of `ablate list task`
  KEY=VALUE     as of `ablate run`: data.path=..., tasks.tasks.NAME.data.path=...
  --rows        rows of every part that are looked at (32)
  --config-dir  a folder of your own configs

Reads the first rows of every part, and says what fits the configuration and what does not. No model is loaded.

exit codes: 0 all that was looked at fits, 2 something does not
"""
_USAGE = (ConfigError, HydraException, OmegaConfBaseException, yaml.YAMLError)
# A task is looked at as one of a suite; this one needs no data.
_SUITE = "tasks=tiny"
_MARKS = {True: "fits", False: "NO", None: "note"}


def data(arguments: list[str]) -> int:
    """Check a data set.

    Args:
        arguments: What follows `ablate data`.

    Returns:
        The exit code.
    """
    if not arguments or {"-h", "--help"} & {*arguments}:
        print(HELP, end="")
        return 0 if arguments else 2
    composed: list[str] = []
    try:
        given = _given(arguments)
        composed += _choice(given)
        found = _check(given, composed)
    except _USAGE as error:
        print(f"ablate data: {one_line(explain(error, [*composed, *arguments]))}", file=sys.stderr)
        return 2
    for fits, text in found.lines:
        print(f"{_MARKS[fits]:<5} {one_line(text)}")
    said = "fits" if found.fits else "does not fit" if found.is_read else "could not be reached"
    print(f"{given.name} {said}")
    return 0 if found.fits else 2


def _given(arguments: list[str]) -> argparse.Namespace:
    """Read the command line.

    Raises:
        ConfigError: If it is not one that `HELP` shows.
    """
    if arguments[0] != "check":
        raise unknown("command of `ablate data`", arguments[0], ["check"])
    parser = Parser("ablate data")
    parser.add_argument("words", nargs="*")
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--config-dir", type=Path)
    given = parser.read(arguments[1:])
    names = [word for word in given.words if "=" not in word]
    if len(names) != 1:
        raise ConfigError(
            f"{len(names)} names are given; allowed: one. Fix: ablate data check gtsrb."
        )
    if given.rows < 1:
        raise ConfigError(f"--rows is {given.rows}; allowed: 1 or more. Fix: --rows 32.")
    if given.config_dir is not None and not given.config_dir.is_dir():
        raise ConfigError(
            f"--config-dir is '{given.config_dir}', which is not a folder. Fix: give a folder of config groups."
        )
    (given.name,) = names
    given.words = [word for word in given.words if "=" in word]
    return given


def _choice(given: argparse.Namespace) -> list[str]:
    """Return the words that choose the set or the task.

    Raises:
        ConfigError: If there is none of that name.
    """
    from ablate.plans.base import compose_words

    group, _, name = given.name.rpartition("/")
    folders = [config_folder(), *([given.config_dir] if given.config_dir else [])]
    sets, tasks = (group_files(group, folders) for group in ("data", "task"))
    if group not in ("", "data", "task") or name not in {**sets, **tasks}:
        raise unknown("data set or task", given.name, [*sets, *(f"task/{task}" for task in tasks)])
    if group != "task" and name in sets:
        return [f"data={name}"]
    is_there = name in compose_words([_SUITE], None).config.tasks.tasks
    return [_SUITE, *([] if is_there else [f"+task@tasks.tasks.{name}={name}"])]


def _check(given: argparse.Namespace, choice: list[str]) -> "Findings":
    # Imported where needed: `ablate data --help` needs none of it.
    from ablate.config.reading import read_run_config
    from ablate.plans.base import compose_words

    run = read_run_config(compose_words([*choice, *given.words], given.config_dir).config)
    if _SUITE in choice:
        name = given.name.rpartition("/")[2]
        assert run.tasks is not None
        return _check_task(name, run.tasks.tasks[name], given.rows)
    return _check_set(run.data, given.rows)


def _check_set(config: "DataConfig", rows: int) -> "Findings":
    from ablate.config.schema import InstructionDataConfig
    from ablate.config.schema.data import TableData
    from ablate.data.check import Findings, check_data
    from ablate.recipes.data import load_data, load_instructions

    if isinstance(config, TableData):
        return check_data(config, "data", rows)
    found = Findings()
    with found.looking():
        if isinstance(config, InstructionDataConfig):
            found.say(True, f"{len(load_instructions(config).conversations)} conversations")
        else:
            loaded = load_data(config)
            sizes = (
                f"{len(loaded.train.ids)} images to train on, {len(loaded.test.ids)} to evaluate"
            )
            found.say(True, f"{len(loaded.class_names)} classes, {sizes}")
    return found


def _check_task(name: str, config: "TaskConfig", rows: int) -> "Findings":
    from ablate.data.check import Findings, say_pin
    from ablate.data.tables.read import Place
    from ablate.evaluation.tasks.load import load_task

    found = Findings()
    with found.looking():
        place = getattr(config, "data", None)
        if place is not None:
            say_pin(found, Place(place.path, place.subset, place.split, place.revision))
        task = load_task(name, config, rows)
        metrics = ", ".join(f"{metric.name}, chance {metric.chance:.3g}" for metric in task.metrics)
        found.say(True, f"{task.n} items; {metrics}")
    return found
