"""The words of `ablate run` where nothing is run: expanded into runs, whatever cluster they name."""

import re
from collections.abc import Sequence
from pathlib import Path

from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig

from ablate.cli.arguments import UnknownFlagError, checked_arguments
from ablate.config.errors import ConfigError, nearest, unknown
from ablate.config.folder import config_folder, group_files
from ablate.plans.base import compose_words
from ablate.sweep.expansion import RunSpec, expand

_WHERE = re.compile(r"\+*(cluster[.=]|hydra/launcher=|hydra\.launcher\.)")
# Those of Hydra's flags that say what is run.
_RUN_FLAGS = {"multirun", "config_dir"}
_ITS_FLAGS = ("--config-dir", "--help", "--multirun")


def specs_of(words: Sequence[str], own_flags: Sequence[str]) -> list[RunSpec]:
    """Expand the words of a run into runs.

    Args:
        words: As `ablate run` takes them.
        own_flags: What `ablate plan` takes besides, for an error's text.

    Raises:
        ConfigError: If a word is wrong, or a flag of `ablate run` makes no sense here.
    """
    # Where runs would be made changes none of them, and needs nothing here.
    where = [word for word in words if _WHERE.match(word)]
    try:
        checked = checked_arguments([word for word in words if word not in where])
    except UnknownFlagError as error:
        raise _unknown_flag(error, [*own_flags, *_ITS_FLAGS]) from None
    given = get_args_parser().parse_args(checked)
    for name, value in vars(given).items():
        if name not in (*_RUN_FLAGS, "overrides") and value:
            flag = f"--{name.replace('_', '-')}"
            raise ConfigError(f"{flag} is for `ablate run`. Fix: leave it out.")
    folder = None if given.config_dir is None else Path(given.config_dir)
    _check_where(where, [config_folder(), *([folder] if folder else [])])

    def compose(overrides: list[str]) -> DictConfig:
        return compose_words(overrides, folder).config

    return expand(OverridesParser.create().parse_overrides(given.overrides), compose)


def _unknown_flag(error: UnknownFlagError, flags: Sequence[str]) -> ConfigError:
    """Name the flag that one was meant for; if there is none, it may be a key."""
    name = str(error).partition("=")[0]
    return error if nearest(name, flags) is None else unknown("flag", name, flags)


def _check_where(words: Sequence[str], folders: list[Path]) -> None:
    """Check what a cluster is called, though nothing is asked of it."""
    known = group_files("cluster", folders)
    for word in words:
        key, _, name = word.lstrip("+").partition("=")
        if key == "cluster" and name not in (*known, "null"):
            raise unknown("cluster", name, known)
