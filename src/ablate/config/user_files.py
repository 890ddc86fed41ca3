"""A user's own configuration files: they describe an ablation and cannot run code.

Hydra instantiates what a configuration names: callbacks, launchers, sweepers, log handlers. So each
file that is not the package's own is checked twice before Hydra acts on any: its text when it is
read, and what it sets below `hydra` when it is merged, since only then is its place known (a package
header, a defaults list and the folder it is in all move it). docs/security.md lists what is allowed.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

import hydra._internal.hydra as hydra_internals
from hydra._internal.config_repository import IConfigRepository
from hydra._internal.core_plugins import file_config_source
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.default_element import ResultDefault
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigLoadError, ConfigResult, ConfigSource
from omegaconf import OmegaConf

from ablate.config.composing import HEADER_CHARACTERS, OnceComposed, load_file
from ablate.config.errors import ConfigError, nearest
from ablate.config.folder import config_folder
from ablate.config.yaml_file import parse, read_text

# Hydra's `instantiate` acts on these keys wherever it meets them.
_CODE_KEYS = frozenset(("_target_", "_partial_", "_args_", "_convert_", "_recursive_"))
# Numbers and names that a launcher passes on as such. What a launcher runs (submitit's setup, srun_args and
# additional_parameters), evaluates (joblib's pre_dispatch) or unpickles from is not among them.
LAUNCHER_OPTIONS = (
    "account",
    "array_parallelism",
    "backend",
    "batch_size",
    "comment",
    "constraint",
    "cpus_per_gpu",
    "cpus_per_task",
    "exclude",
    "gpus_per_node",
    "gpus_per_task",
    "gres",
    "max_num_timeout",
    "mem_gb",
    "mem_per_cpu",
    "mem_per_gpu",
    "n_jobs",
    "name",
    "nodes",
    "partition",
    "prefer",
    "qos",
    "require",
    "signal_delay_s",
    "stderr_to_stdout",
    "tasks_per_node",
    "timeout",
    "timeout_min",
    "verbose",
)


def guard_config_files() -> None:
    """Make Hydra read every configuration file through the checks of this module."""
    Plugins.instance()
    SourcesRegistry.instance().types["file"] = FileConfigSource
    vars(hydra_internals)["ConfigLoaderImpl"] = CheckedConfigLoader


class FileConfigSource(file_config_source.FileConfigSource):
    """Hydra's source for folders, bounded; it has the name of Hydra's, by which Hydra knows a source."""

    def load_config(self, config_path: str) -> ConfigResult:
        """Load a config; one of the user's is checked before OmegaConf sees it.

        Raises:
            ConfigError: If it is a user's and not what a configuration file may be.
        """
        _check_place(config_path)
        path = Path(self.path, self._normalize_file_name(config_path))
        if _is_shipped(self.path):
            return ConfigResult(self.provider, f"{self.scheme()}://{self.path}", *load_file(path))
        parts = PurePosixPath(config_path).parts
        if parts[0] == "hydra" and parts[:2] != ("hydra", "launcher"):
            raise ConfigError(
                f"{path} belongs to one of Hydra's groups; a config folder may only hold hydra/launcher. "
                "Fix: remove the file, and give its values on the command line."
            )
        if not path.exists():
            raise ConfigLoadError(f"Config not found : {path}")
        text = read_text(path)
        config = parse(text, path)
        _check_content(OmegaConf.to_container(config, resolve=False), path)
        try:
            header = ConfigSource._get_header_dict(text[:HEADER_CHARACTERS])
        except ValueError as error:
            raise ConfigError(f"{path}: {error}. Fix: '# @package _global_'.") from error
        return ConfigResult(self.provider, f"{self.scheme()}://{self.path}", config, header)


class CheckedConfigLoader(OnceComposed):
    """A loader which also looks at where a user's file lands."""

    def _load_single_config(self, default: ResultDefault, repo: IConfigRepository) -> ConfigResult:
        assert default.config_path is not None
        _check_place(default.config_path)
        loaded = repo.load_config(default.config_path)
        assert loaded is not None
        scheme, _, folder = loaded.path.partition("://")
        if scheme == "file" and not _is_shipped(folder):
            path = Path(folder, f"{default.config_path}.yaml")
            placed = self._embed_result_config(loaded, default.package).config
            _check_hydra(OmegaConf.to_container(placed, resolve=False), path)
        else:
            _check_shadow(default.config_path, repo)
        return super()._load_single_config(default, repo)


def _is_shipped(folder: str) -> bool:
    return Path(folder).resolve() == config_folder().resolve()


def _check_place(config_path: str) -> None:
    """Refuse a config whose name leads outside the given folders."""
    place = PurePosixPath(config_path)
    if place.is_absolute() or ".." in place.parts:
        raise ConfigError(
            f"'{config_path}' is outside the config folders. "
            "Fix: --config-dir FOLDER, and a name below that folder."
        )


def _check_shadow(config_path: str, repo: IConfigRepository) -> None:
    """Refuse a user's file that differs from the shipped one of its name, which Hydra takes instead of it."""
    name = config_path.removesuffix(".yaml") + ".yaml"
    shipped = config_folder() / name
    for source in repo.get_sources():
        if source.scheme() != "file" or _is_shipped(source.path) or not shipped.is_file():
            continue
        own = Path(source.path, name)
        if own.is_file() and own.read_bytes() != shipped.read_bytes():
            raise ConfigError(
                f"{own} has the name of a shipped config, which is the one that is read. "
                f"Fix: give it another name, such as {own.with_stem('my-' + own.stem).name}."
            )


def _check_content(content: object, path: Path) -> None:
    """Check what can be checked on a file alone."""
    if not isinstance(content, Mapping):
        raise ConfigError(f"{path} holds a {type(content).__name__}; allowed: KEY: VALUE lines.")
    for key in _keys(content):
        if not isinstance(key, str):
            raise ConfigError(
                f"{path} has the key {key!r}, which is not text. Fix: '{key}' in quotes."
            )
        if key in _CODE_KEYS:
            raise ConfigError(
                f"{path} has the key {key}, which names code to run; a configuration file cannot. "
                f"Fix: leave {key} out."
            )
    defaults = content.get("defaults", [])
    if not isinstance(defaults, list):
        raise _no_default(defaults, path)
    for entry in defaults:
        _check_default(entry, path)
    _check_hydra(content, path)


def _check_default(entry: object, path: Path) -> None:
    """Refuse what is not an entry of a defaults list, and what reaches below `hydra` but for the launcher."""
    pairs = [*entry.items()] if isinstance(entry, Mapping) else [(entry, None)]
    word, choice = pairs[0] if len(pairs) == 1 else (None, None)
    if not isinstance(word, str) or not word.split() or not _is_choice(choice):
        raise _no_default(entry, path)
    group, _, package = word.split()[-1].partition("@")
    parts = group.strip("/").split("/")
    is_hydra = parts[0] == "hydra" and parts[:2] != ["hydra", "launcher"]
    if is_hydra or "hydra" in re.split(r"[.:]", package):
        raise ConfigError(
            f"{path} has '{word}' in its defaults; of Hydra's groups a configuration file may only "
            "choose hydra/launcher. Fix: choose it on the command line."
        )


def _no_default(given: object, path: Path) -> ConfigError:
    return ConfigError(
        f"{path} has {given!r} in its defaults; allowed: a list of NAME and GROUP: NAME. "
        "Fix: defaults: [override /method: lora]."
    )


def _is_choice(value: object) -> bool:
    names = value if isinstance(value, list) else [value]
    return value is None or all(isinstance(name, str) for name in names)


def _check_hydra(placed: object, path: Path) -> None:
    """Check what a file sets below `hydra`.

    Args:
        placed: The file's content, or the same under the package it is merged at.
        path: The file, for messages.
    """
    if not isinstance(placed, Mapping) or "hydra" not in placed:
        return
    settings = placed["hydra"]
    if not isinstance(settings, Mapping) or set(settings) - {"launcher"}:
        keys = settings if isinstance(settings, Mapping) else ()
        wrong = next((f"hydra.{key}" for key in keys if key != "launcher"), "hydra")
        raise ConfigError(
            f"{path} sets {wrong}; below hydra a configuration file may only set "
            "the launcher's plain options. Fix: give it on the command line."
        )
    launcher = settings.get("launcher", {})
    options = launcher if isinstance(launcher, Mapping) else {"launcher": launcher}
    for option, value in options.items():
        if option not in LAUNCHER_OPTIONS:
            match = nearest(str(option), LAUNCHER_OPTIONS)
            hint = f" Did you mean '{match}'?" if match else ""
            raise ConfigError(
                f"{path} sets hydra.launcher.{option}.{hint} Allowed in a configuration file: "
                f"{', '.join(LAUNCHER_OPTIONS)}. Fix: give it on the command line."
            )
        text = value if isinstance(value, str) else ""
        # A line break in a value would be a line of its own in the script that goes to the cluster.
        if isinstance(value, Mapping | list) or "${" in text or not text.isprintable():
            raise ConfigError(
                f"{path} sets hydra.launcher.{option} to {value!r}; allowed in a configuration file: "
                "one number, switch or line of text. Fix: give it on the command line."
            )


def _keys(values: object) -> Iterator[object]:
    """Yield every key of nested mappings and sequences."""
    if isinstance(values, Mapping):
        for key, value in values.items():
            yield key
            yield from _keys(value)
    elif isinstance(values, list):
        for value in values:
            yield from _keys(value)
