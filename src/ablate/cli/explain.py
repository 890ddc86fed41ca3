"""Hydra's and OmegaConf's complaints, in one line that teaches the fix."""

import re
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ablate.config.errors import ConfigError, nearest, unknown
from ablate.config.folder import config_folder
from ablate.config.reading import flat_keys, nearest_key

_NOT_A_KEY = re.compile(
    r"Could not (?:override|delete|append to config\.) '?([^'\n]+?)'?\.?(?:\n|$)"
)
_NO_SUCH_CHOICE = re.compile(r"Could not find '(?:.*:)?([^']+)/([^'/]+)'")
_NO_SUCH_FILE = re.compile(r"Could not (?:find|load) '([^']+)'")
_NOT_IN_DEFAULTS = re.compile(r"Could not override '([^']+)'\. No match in the defaults list")


def explain(error: Exception, arguments: list[str]) -> str:
    """Turn an exception about the command line into one line.

    Args:
        error: What was raised.
        arguments: The command line.

    Returns:
        What was given, what is allowed, the nearest match and the fix.
    """
    text = str(error)
    if isinstance(error, ConfigError):
        return text
    if match := _NOT_IN_DEFAULTS.search(text):
        return f"'{match[1]}' is not chosen by default. Fix: write +{match[1]}=... instead."
    if match := _NO_SUCH_CHOICE.search(text):
        allowed = re.findall(r"^\t([^\s=]+)$", text, flags=re.MULTILINE)
        if allowed:
            return str(unknown(match[1].lstrip("/"), match[2], allowed))
    if match := _NO_SUCH_FILE.search(text):
        return f"There is no config '{match[1]}'. Fix: `ablate list` shows what there is."
    if match := _NOT_A_KEY.search(text):
        return _unknown_key(match[1], arguments)
    first_line, *more = text.strip().splitlines()
    more = [line.strip() for line in more if line.strip() and "See https" not in line]
    return " ".join(
        [first_line, *more, "Fix: write KEY=VALUE; `ablate run --help` lists the keys."]
    )


def _unknown_key(given: str, arguments: list[str]) -> str:
    """Name the key, in the configuration as it was asked for, that is most like the one given."""
    keys = _known_keys(arguments)
    match = nearest_key(given, keys) if "." in given else nearest(given, keys)
    match = match or nearest_key(given, keys)
    hint = f" Did you mean '{match}'?" if match else ""
    parent = given.rpartition(".")[0]
    siblings = [key for key in keys if key.rpartition(".")[0] == parent]
    available = siblings or [key for key in keys if "." not in key]
    return f"Unknown key '{given}'.{hint} Available: {', '.join(available)}."


def _known_keys(arguments: list[str]) -> list[str]:
    """List the keys of the configuration with the groups that were chosen, as far as they exist."""
    folder = Path(config_folder())
    chosen = [
        word
        for word in arguments
        if re.fullmatch(r"\+?[\w@.]+=[\w-]+", word)
        and (folder / re.split(r"[=@]", word.lstrip("+"))[0]).is_dir()
    ]
    for words in (chosen, []):
        GlobalHydra.instance().clear()
        try:
            with initialize_config_dir(str(folder), version_base="1.3"):
                values = OmegaConf.to_container(compose("config", overrides=words), resolve=False)
        except (HydraException, OmegaConfBaseException):
            continue
        assert isinstance(values, dict)
        return flat_keys({str(key): value for key, value in values.items()})
    return []
