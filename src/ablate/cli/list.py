"""`ablate list`: what can be chosen on the command line."""

import itertools
import re
import sys
from pathlib import Path

import yaml

from ablate.config.errors import unknown
from ablate.config.folder import GROUPS, config_folder, group_files


def list_choices(arguments: list[str]) -> int:
    """Print the choices of one config group, or of all.

    Args:
        arguments: At most one group, and optionally `--config-dir FOLDER`.

    Returns:
        The exit code.
    """
    folders = [config_folder()]
    if "--config-dir" in arguments:
        position = arguments.index("--config-dir")
        folders = [*map(Path, arguments[position + 1 : position + 2]), *folders]
        arguments = arguments[:position] + arguments[position + 2 :]
    for name in arguments:
        if name not in GROUPS:
            print(f"ablate list: {unknown('group', name, GROUPS)}", file=sys.stderr)
            return 2
    for name in arguments or GROUPS:
        files = group_files(GROUPS[name], folders)
        if not files and not arguments:
            continue
        print(f"{name}:")
        for choice, file in files.items():
            print(f"  {choice:<16} {describe(file)}")
    return 0


def describe(file: Path) -> str:
    """Return an ablation's question, or the first sentence of a config file's opening comment."""
    text = file.read_text(encoding="utf-8")
    values = yaml.safe_load(text)
    ablation = values.get("ablation") if isinstance(values, dict) else None
    if isinstance(ablation, dict):
        return str(ablation.get("question", ""))
    comments = itertools.takewhile(lambda line: line.startswith("#"), text.splitlines())
    sentence = " ".join(line.lstrip("# ") for line in comments)
    return re.split(r"[.:;] ", sentence, maxsplit=1)[0].rstrip(".:")
