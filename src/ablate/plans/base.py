"""What an imported ablation is made on: the shipped defaults, the settings its part needs, and what `--base` says."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from ablate.config.errors import ConfigError
from ablate.config.folder import config_folder, group_files
from ablate.config.reading import run_part
from ablate.config.user_files import guard_config_files
from ablate.config.yaml_file import parse, read_text
from ablate.plans.vocabulary import REAL, TINY, Topic, vocabulary
from ablate.sweep.expansion import quoted, searchpath

# A comma between two words, not one inside a value such as [0,1].
_NEXT_WORD = re.compile(r",(?=[\w@./~+]+=)")
_NOT_HERE = ("ablation", "cluster", "hydra")


@dataclass(frozen=True)
class Settings:
    """Choices of groups and values of keys, as a configuration file makes them.

    Attributes:
        groups: Choice by group, `group@package` among them; None for no choice.
        keys: Value by dotted key.
    """

    groups: Mapping[str, str | None] = field(default_factory=dict)
    keys: Mapping[str, Any] = field(default_factory=dict)

    def under(self, other: "Settings") -> "Settings":
        """Return these, with those of another in their place where both say something."""
        kept = {
            key: value
            for key, value in self.keys.items()
            if not any(key.startswith(f"{group}.") for group in other.groups)
        }
        return Settings({**self.groups, **other.groups}, {**kept, **other.keys})


@dataclass(frozen=True)
class Composed:
    """A configuration and the choices it was composed from.

    Attributes:
        config: The configuration, unresolved, without `hydra`.
        choices: Choice by group.
    """

    config: DictConfig
    choices: Mapping[str, str | None]


class Base:
    """The configuration that a plan's ablations start from."""

    def __init__(self, given: Settings, folder: Path | None = None) -> None:
        """Keep what was given.

        Args:
            given: What `--base` says.
            folder: A config folder of the user's own, searched besides the shipped one.
        """
        self.given = given
        self._composed: dict[tuple[str, ...], Composed] = {}
        self.folder = folder if folder is not None and folder.is_dir() else None
        # Keys may belong to settings that only some ablations need; a choice exists or not.
        chosen = self._compose(Settings(given.groups)).choices
        self.size = TINY if chosen["model"] in vocabulary().tiny_models else REAL

    def settings(self, topic: Topic) -> Settings:
        """Return what a topic needs on such a model."""
        if self.size == TINY:
            return shipped_settings(topic.like) if topic.like else Settings()
        return Settings(vocabulary().settings[topic.real]) if topic.real else Settings()

    def compose(self, settings: Settings) -> Composed:
        """Compose settings, and what was given over them.

        Raises:
            HydraException: If a group or key does not exist.
        """
        return self._compose(settings.under(self.given))

    def _compose(self, whole: Settings) -> Composed:
        usual = self._words([]).choices
        words = [word for item in whole.groups.items() if (word := _word(*item, usual))]
        return self._words([*words, *(f"{k}={_written(v)}" for k, v in whole.keys.items())])

    def _words(self, words: Sequence[str]) -> Composed:
        """Compose words, once: the ablations of a plan have most of them in common."""
        key = tuple(words)
        if key not in self._composed:
            self._composed[key] = compose_words(words, self.folder)
        return self._composed[key]

    def names(self, group: str) -> list[str]:
        """List the choices of a group, the user's own among them; none for a key."""
        folders = [config_folder(), *([self.folder] if self.folder else [])]
        return list(group_files(group, folders))


def read_base(words: Sequence[str]) -> Settings:
    """Read what follows `--base`: `model=llava-1.5-7b,data.shots=5`.

    Raises:
        ConfigError: If a word is neither GROUP=NAME nor KEY=VALUE.
    """
    groups: dict[str, str | None] = {}
    keys: dict[str, Any] = {}
    split = [part for text in words for part in _NEXT_WORD.split(text)]
    for word, override in zip(split, OverridesParser.create().parse_overrides(split), strict=True):
        name, value = override.key_or_group, override.value()
        wrong = override.is_sweep_override() or override.is_add() or override.is_delete()
        if wrong or name.partition(".")[0].partition("/")[0] in _NOT_HERE:
            raise ConfigError(
                f"--base has '{word}'; allowed: GROUP=NAME and KEY=VALUE with one value, such as "
                "model=llava-1.5-7b,data.shots=5. Fix: give that to `ablate run`."
            )
        if "/" in name or (config_folder() / name).is_dir():
            groups[override.get_key_element()] = None if value is None else str(value)
        else:
            keys[name] = value
    return Settings(groups, keys)


def compose_words(words: Sequence[str], folder: Path | None) -> Composed:
    """Compose a configuration as `ablate run --config-dir FOLDER WORDS` would.

    Raises:
        HydraException: If it cannot be composed.
        ConfigError: If a file in the folder is not what a configuration file may be.
    """
    guard_config_files()
    search = [] if folder is None else [searchpath(folder)]
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        config = compose("config", overrides=[*search, *words], return_hydra_config=True)
    choices = {str(group): choice for group, choice in config.hydra.runtime.choices.items()}
    return Composed(run_part(config), choices)


@lru_cache
def shipped_settings(ablation: str) -> Settings:
    """Read what a shipped ablation sets besides its own question."""
    path = config_folder() / "ablation" / f"{ablation}.yaml"
    content = OmegaConf.to_container(parse(read_text(path), path))
    assert isinstance(content, dict)
    pairs = [pair for entry in content.pop("defaults", []) for pair in entry.items()]
    groups = {str(group).removeprefix("override /"): choice for group, choice in pairs}
    own = {key: value for key, value in content.items() if key not in ("ablation", "seeds")}
    return Settings(groups, _flat(own, ""))


def _flat(values: Mapping[Any, Any], prefix: str) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        flat.update(_flat(value, f"{name}.") if isinstance(value, Mapping) else {name: value})
    return flat


def _word(group: str, choice: str | None, usual: Mapping[str, str | None]) -> str | None:
    """Write a choice in Hydra's grammar, which has no word for none where none is usual."""
    if choice is not None:
        return f"{group}={choice}"
    return f"~{group}" if usual.get(group) is not None else None


def _written(value: Any) -> str:  # noqa: ANN401
    """Write a value in Hydra's grammar."""
    if isinstance(value, list):
        return f"[{','.join(map(_written, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{key}:{_written(one)}' for key, one in value.items())}}}"
    return quoted(value)
