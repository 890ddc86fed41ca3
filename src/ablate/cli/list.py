"""`ablate list`: what can be chosen on the command line."""

import argparse
import itertools
import re
import sys
from pathlib import Path

from omegaconf import OmegaConf

from ablate.cli.parser import Parser
from ablate.config.errors import ConfigError, one_line, unknown
from ablate.config.folder import GROUPS, config_folder, group_files
from ablate.config.yaml_file import parse, read_text

HELP = """\
ablate list - list the available choices

usage: ablate list [GROUP...] [--config-dir FOLDER]

  GROUP         {groups}; without one, all
  --config-dir  a folder of your own configs
"""


def list_choices(arguments: list[str]) -> int:
    """Print the choices of one config group, or of all.

    Args:
        arguments: At most one group, and optionally `--config-dir FOLDER`.

    Returns:
        The exit code.
    """
    if {"-h", "--help"} & {*arguments}:
        print(HELP.format(groups=", ".join(GROUPS)), end="")
        return 0
    parser = Parser("ablate list")
    parser.add_argument("groups", nargs="*")
    parser.add_argument("--config-dir", type=Path)
    try:
        given = parser.read(arguments)
        _check(given)
    except ConfigError as error:
        print(f"ablate list: {one_line(str(error))}", file=sys.stderr)
        return 2
    # Hydra, too, takes the shipped config where both folders have one of that name.
    folders = [config_folder(), *([given.config_dir] if given.config_dir else [])]
    for name in given.groups or GROUPS:
        files = group_files(GROUPS[name], folders)
        if not files and not given.groups:
            continue
        print(f"{name}:")
        for choice, file in files.items():
            print(f"  {choice:<16} {describe(file)}")
    return 0


def _check(given: argparse.Namespace) -> None:
    """Refuse an unknown group, and a path that is not a folder.

    Raises:
        ConfigError: If any is.
    """
    for name in given.groups:
        if name not in GROUPS:
            raise unknown("group", name, GROUPS)
    if given.config_dir is not None and not given.config_dir.is_dir():
        raise ConfigError(
            f"--config-dir is '{given.config_dir}', which is not a folder. Fix: give a folder of config groups."
        )


def describe(file: Path) -> str:
    """Return an ablation's question, the first sentence of a file's opening comment, or why it cannot be read."""
    try:
        text = read_text(file)
        values = parse(text, file)
    except ConfigError as error:
        return f"({one_line(str(error))})"
    question = OmegaConf.select(values, "ablation.question") if OmegaConf.is_dict(values) else None
    if question is not None:
        return one_line(str(question))
    lines = [line for line in text.splitlines() if not line.startswith("# @package")]
    comments = itertools.takewhile(lambda line: line.startswith("#"), lines)
    sentence = " ".join(line.lstrip("# ") for line in comments)
    return re.split(r"[.:;] ", sentence, maxsplit=1)[0].rstrip(".:")
