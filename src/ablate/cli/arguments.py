"""The words of `ablate run`, checked before Hydra reads them."""

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import OmegaConf

from ablate.cli.parser import refuse
from ablate.config.errors import ConfigError
from ablate.config.folder import config_folder, group_files
from ablate.config.yaml_file import MAX_DEPTH, MAX_NUMBER_CHARACTERS

_LONG_NUMBER = re.compile(rf"\d{{{MAX_NUMBER_CHARACTERS + 1},}}")
_REFUSED_FLAGS = {
    "config_path": "--config-path takes the place of the shipped configs. Fix: --config-dir FOLDER "
    "puts yours beside them.",
    "experimental_rerun": "--experimental-rerun unpickles a file, which can run code. Fix: give the "
    "configuration as KEY=VALUE words.",
}
# Without these an ablation is not expanded: a single run would be taken for the whole ablation.
_NEEDED = {"hydra.mode": "MULTIRUN", "hydra/sweeper": "ablate"}


def checked_arguments(arguments: Sequence[str]) -> list[str]:
    """Check the words that can be checked without a configuration.

    Args:
        arguments: What follows `ablate run`.

    Returns:
        The same words, flags first, because argparse loses KEY=VALUE words on both sides of a flag; and
        `GROUP=null` in Hydra's form, `~GROUP`, where a group is optional.

    Raises:
        ConfigError: If a word is not valid text, a flag does not exist, a folder is missing, or a key is given twice.
    """
    for word in arguments:
        _check_word(word)
    parser = get_args_parser()
    parser.error = partial(refuse, command="ablate run")  # type: ignore[method-assign]
    given, rest = parser.parse_known_args(arguments)
    flags = [word for word in rest if word.startswith("-")]
    if flags:
        raise UnknownFlagError(flags[0])
    for flag, why in _REFUSED_FLAGS.items():
        if getattr(given, flag) is not None:
            raise ConfigError(why)
    _check_folder("--config-dir", given.config_dir)
    if given.shell_completion or given.hydra_help:
        return list(arguments)
    words = [*given.overrides, *rest]
    overrides = OverridesParser.create().parse_overrides(words)
    _check_twice(overrides)
    _check_hydra(overrides)
    _check_one_launcher(overrides)
    own = [Path(given.config_dir)] if given.config_dir else []
    said = [_without_choice(o, own) if o.value() is None else str(o.input_line) for o in overrides]
    return [*_without(arguments, words), *filter(None, said)]


class UnknownFlagError(ConfigError):
    """A flag that does not exist; its text is the flag."""


def _check_word(word: str) -> None:
    shown = f"{word[:40]!a}" + ("..." if len(word) > 40 else "")
    if any("\ud800" <= character <= "\udfff" for character in word):
        raise ConfigError(f"The word {shown} is not UTF-8. Fix: write it in UTF-8.")
    if "\0" in word:
        raise ConfigError(f"The word {shown} holds a NUL character. Fix: leave it out.")
    if number := _LONG_NUMBER.search(word):
        raise ConfigError(
            f"The word {shown} has a number of {len(number[0])} digits; allowed: "
            f"{MAX_NUMBER_CHARACTERS}. Fix: a shorter number."
        )
    depth = 0
    for character in word:
        depth += (character in "([{") - (character in ")]}")
        if depth > MAX_DEPTH:
            raise ConfigError(
                f"The word {shown} is nested deeper than {MAX_DEPTH} levels. Fix: write it flat."
            )


def _without(arguments: Sequence[str], words: Sequence[str]) -> list[str]:
    """Return the flags and their values: the arguments without the KEY=VALUE words."""
    left = list(arguments)
    for word in words:
        left.remove(word)
    return left


def _check_folder(what: str, folder: str | None) -> None:
    if folder is not None and not Path(folder).is_dir():
        raise ConfigError(
            f"{what} is '{folder}', which is not a folder. Fix: give a folder that holds config groups, "
            "such as my for my/ablation/bars.yaml."
        )


def _check_twice(overrides: list[Override]) -> None:
    """Refuse two values for one key, of which Hydra would take the last."""
    seen: dict[str, Override] = {}
    for override in overrides:
        if override.is_delete():
            continue
        key = override.get_key_element().lstrip("+")
        other = seen.setdefault(key, override)
        if other.input_line != override.input_line:
            value = str(override.input_line).partition("=")[2]
            raise ConfigError(
                f"{key} is given twice: {other.input_line} and {override.input_line}. "
                f"Fix: give it once; `-m {other.input_line},{value}` runs both."
            )


def _check_hydra(overrides: list[Override]) -> None:
    """Refuse what would leave the ablation's expansion out, and search paths that are not folders."""
    for override in overrides:
        needed = _NEEDED.get(override.key_or_group)
        if needed is not None and str(override.value()) != needed:
            raise ConfigError(
                f"{override.input_line} was given, but every call is a sweep of ablate's own. "
                f"Fix: leave {override.key_or_group} out."
            )
        if override.key_or_group == "hydra.searchpath":
            places = override.value()
            for place in places if isinstance(places, list) else []:
                if isinstance(place, str) and not place.startswith("pkg://"):
                    _check_folder("hydra.searchpath", place.removeprefix("file://"))


def _check_one_launcher(overrides: list[Override]) -> None:
    """Refuse a cluster beside a launcher: each says which launcher makes the runs."""
    given = {override.key_or_group: override for override in overrides}
    cluster, launcher = given.get("cluster"), given.get("hydra/launcher")
    if cluster is not None and launcher is not None and cluster.value() != "none":
        raise ConfigError(
            f"{cluster.input_line} and {launcher.input_line} both choose a launcher. Fix: give one of them."
        )


def _without_choice(override: Override, own: list[Path]) -> str:
    """Say `GROUP=null` as Hydra does: `~GROUP`, or nothing where the group is not chosen by default.

    Raises:
        ConfigError: If every run needs a choice of this group.
    """
    word, group = str(override.input_line), override.key_or_group
    folders = [*own, config_folder()]
    is_group = "/" in group or any((folder / group).is_dir() for folder in folders)
    if override.is_delete() or not is_group:
        return word
    if override.package is None and group not in _optional_groups():
        choices = ", ".join(group_files(group, folders))
        raise ConfigError(
            f"{group} is null, but every run needs one. "
            + (f"Available: {choices}." if choices else "Fix: leave the word out.")
        )
    return "" if override.is_add() or group == "ablation" else f"~{override.get_key_element()}"


def _optional_groups() -> set[str]:
    """Return the groups that the shipped defaults leave without a choice; an ablation is in none."""
    config = OmegaConf.to_container(OmegaConf.load(config_folder() / "config.yaml"))
    assert isinstance(config, dict)
    entries = [entry for entry in config["defaults"] if isinstance(entry, dict)]
    unchosen = {str(key) for entry in entries for key, value in entry.items() if value is None}
    return unchosen | {"ablation"}
