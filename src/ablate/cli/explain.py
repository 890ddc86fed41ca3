"""Hydra's and OmegaConf's errors, in one line that gives the fix."""

import re
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra._internal.utils import get_args_parser
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, OverrideParseException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ablate.cli.arguments import UnknownFlagError
from ablate.config.errors import ConfigError, nearest, unknown
from ablate.config.folder import config_folder, group_files
from ablate.config.reading import flat_keys, nearest_key
from ablate.sweep.expansion import searchpath

_NOT_A_KEY = re.compile(
    r"Could not (?:override|delete|append to config\.) '?([^'\n]+?)'?\.?(?:\n|$)"
)
_APPEND = re.compile(r"To append to your config use \+([^=\n]+)=")
_EXISTS = re.compile(r"An item is already at '([^']+)'")
_NO_SUCH_CHOICE = re.compile(r"Could not find '(?:.*:)?([^']+)/([^'/]+)'")
_NO_SUCH_FILE = re.compile(r"Could not (?:find|load) '([^']+)'")
_NOT_IN_DEFAULTS = re.compile(r"Could not override '([^']+)'\. No match in the defaults list")
_MISSING = object()
# Packages of launchers that Hydra does not include, by the first word of the launcher's name.
_LAUNCHER_PACKAGES = {
    "joblib": "hydra-joblib-launcher",
    "ray": "hydra-ray-launcher",
    "rq": "hydra-rq-launcher",
    "submitit": "'ablate-vlm[slurm]'",
}


def explain(error: Exception, arguments: list[str]) -> str:
    """Turn an exception about the command line into one line.

    Args:
        error: What was raised.
        arguments: The command line.

    Returns:
        What was given, what is allowed, the nearest match and the fix.
    """
    if isinstance(error, UnknownFlagError):
        return _unknown_flag(str(error), arguments)
    if isinstance(error, ConfigError):
        return str(error)
    if isinstance(error, RecursionError):
        return (
            "The configuration refers to itself, through a defaults list or ${...}, or is nested too "
            "deeply. Fix: remove the cycle."
        )
    if isinstance(error, MemoryError):
        return (
            f"The data do not fit into memory ({error or 'out of memory'}). Fix: fewer items, such as "
            "data.test_items=256, or more memory."
        )
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'a file'}: {error.strerror}. Fix: free some space, or output_dir=ELSEWHERE."
    if isinstance(error, OverrideParseException):
        return (
            f"'{error.override}' cannot be parsed. Fix: write KEY=VALUE, with quotes around a value that has "
            "special characters, as in \"KEY='a: b'\"."
        )
    # Hydra wraps OmegaConf's errors, sometimes in an exception without a message.
    causes = [str(error), str(error.__cause__ or "").partition("\n")[0]]
    text = "\n".join(cause for cause in causes if cause) or type(error).__name__
    return _explain_hydra(text, arguments)


def _explain_hydra(text: str, arguments: list[str]) -> str:
    if match := _NOT_IN_DEFAULTS.search(text):
        return f"'{match[1]}' is not chosen by default. Fix: write +{match[1]}=... instead."
    if match := _NO_SUCH_CHOICE.search(text):
        allowed = re.findall(r"^\t([^\s=]+)$", text, flags=re.MULTILINE)
        if allowed:
            return _unknown_choice(match[1].lstrip("/"), match[2], allowed)
    if match := _NO_SUCH_FILE.search(text):
        return f"There is no config '{match[1]}'. Fix: `ablate list` shows the choices."
    if match := _EXISTS.search(text):
        return f"{match[1]} exists already. Fix: write {match[1]}=... without the +."
    if match := _APPEND.search(text) or _NOT_A_KEY.search(text):
        return _unknown_key(match[1], arguments)
    first_line, *more = text.strip().splitlines() or ["The command line cannot be parsed."]
    more = [line.strip() for line in more if line.strip() and "See https" not in line]
    said = " ".join([first_line, *more]).rstrip(".")
    return f"{said}. Fix: write KEY=VALUE; `ablate run --help` lists the keys."


def _unknown_choice(group: str, given: str, allowed: list[str]) -> str:
    """Name the choices of a group; a known launcher may just need to be installed."""
    package = _LAUNCHER_PACKAGES.get(given.partition("_")[0])
    install = f" Fix: pip install {package}." if group == "hydra/launcher" and package else ""
    return f"{unknown(group, given, allowed)}{install}"


def _unknown_flag(given: str, arguments: list[str]) -> str:
    """Name the key that a flag such as `--rank=8` was meant for."""
    name, _, value = given.lstrip("-").partition("=")
    name = name.replace("-", "_")
    keys = [key for key in flat_keys(_known(arguments)) if f".{key}".endswith(f".{name}")]
    key = min(keys, key=lambda key: (key.count("."), not key.startswith("method.")), default=None)
    fix = (
        f"write {key}={value or 'VALUE'}"
        if key
        else "write KEY=VALUE; `ablate run --help` lists the keys"
    )
    return f"There is no flag '{given}'. Fix: {fix}."


def _unknown_key(given: str, arguments: list[str]) -> str:
    """Name the key of the requested configuration that is closest to the one given."""
    known = _known(arguments)
    keys = flat_keys(known)
    parent, _, last = given.rpartition(".")
    siblings = [key for key in keys if key.rpartition(".")[0] == parent]
    for choice, file in group_files(parent, [config_folder()]).items():
        if OmegaConf.select(OmegaConf.load(file), given, default=_MISSING) is not _MISSING:
            return f"{given} is a key of {parent}={choice}. Fix: add {parent}={choice}."
    # Only a mapping of names that the user chooses is ever empty.
    if parent and OmegaConf.select(OmegaConf.create(known), parent) == {}:
        return f"{parent} has no entry '{last}'. Fix: write +{given}=... to add one."
    match = nearest_key(given, keys) if parent else nearest(given, keys)
    match = match or nearest_key(given, keys)
    hint = f" Did you mean '{match}'?" if match else ""
    available = siblings or [key for key in keys if "." not in key]
    return f"Unknown key '{given}'.{hint} Available: {', '.join(available)}."


def _known(arguments: list[str]) -> dict[str, Any]:
    """Return the configuration with the groups that were chosen, as far as they exist."""
    folder, given = Path(config_folder()), get_args_parser().parse_known_args(arguments)[0]
    own = [Path(given.config_dir)] if given.config_dir else []
    chosen = [
        word
        for word in arguments
        if re.fullmatch(r"\+?[\w@.]+=[\w-]+", word)
        and any(
            (place / re.split(r"[=@]", word.lstrip("+"))[0]).is_dir() for place in (folder, *own)
        )
    ]
    chosen += map(searchpath, own)
    for words in (chosen, []):
        GlobalHydra.instance().clear()
        try:
            with initialize_config_dir(str(folder), version_base="1.3"):
                values = OmegaConf.to_container(compose("config", overrides=words), resolve=False)
        except (HydraException, OmegaConfBaseException):
            continue
        assert isinstance(values, dict)
        return {str(key): value for key, value in values.items()}
    return {}
