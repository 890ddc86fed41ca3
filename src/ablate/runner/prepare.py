"""Everything a run needs apart from a model: data at hand, choices checked, the run's name known."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from ablate.config.errors import ConfigError
from ablate.config.schema import DataConfig, LorsuMethod, RunConfig
from ablate.data.load import load_data
from ablate.data.types import ImageClassification
from ablate.methods.build import check_method
from ablate.models.compute import choose_compute
from ablate.models.files import check_weights, fingerprint, n_attention_heads, read_vision_config
from ablate.results.run_folder import RunFolder
from ablate.runner.identity import run_id

_LOADED: dict[str, ImageClassification] = {}


@dataclass(frozen=True)
class PreparedRun:
    """A run that has passed every check that needs no model.

    Attributes:
        config: The run.
        target: The data set it adapts to.
        controls: The data sets that show forgetting, by name.
        folder: Where its results go.
        fingerprints: Content hash of the model's weights, the data and each control.
    """

    config: RunConfig
    target: ImageClassification
    controls: dict[str, ImageClassification]
    folder: RunFolder
    fingerprints: dict[str, str]

    @property
    def cache_folder(self) -> Path:
        """What runs of all sweeps below one output folder may share."""
        return Path(self.config.output_dir) / ".cache"


def prepare(config: RunConfig) -> PreparedRun:
    """Check a run against its data, its model's config and its output folder, and name it.

    Raises:
        ConfigError: If the run could not be made.
    """
    choose_compute(config.device, config.precision)
    check_method(config.method, config.loss)
    if isinstance(config.method, LorsuMethod):
        _check_heads(config, config.method.top_k_heads)
    read_vision_config(config.model)
    check_weights(config.model)
    _check_names(config)
    target = _load(config.data, trained_on=True)
    controls = {name: _load(data, trained_on=False) for name, data in config.controls.items()}
    fingerprints = {
        "llava": fingerprint(config.model.llava, config.model.revision),
        "clip": fingerprint(config.model.clip, config.model.revision),
        "data": target.fingerprint,
        **{f"controls.{name}": data.fingerprint for name, data in controls.items()},
    }
    folder = RunFolder(Path(config.output_dir) / config.name, run_id(config, fingerprints))
    return PreparedRun(config, target, controls, folder, fingerprints)


def _load(config: DataConfig, trained_on: bool) -> ImageClassification:
    """Load a data set once in this process."""
    key = repr((config, trained_on))
    if key not in _LOADED:
        _LOADED[key] = load_data(config, trained_on)
    return _LOADED[key]


def _check_names(config: RunConfig) -> None:
    """Refuse two data sets of one name: their rows could not be told apart."""
    for key, control in config.controls.items():
        others = [config.data, *(c for k, c in config.controls.items() if k != key)]
        if control.name in [other.name for other in others]:
            raise ConfigError(
                f"controls.{key}.name is '{control.name}', as of another data set of the run. "
                f"Fix: controls.{key}.name=<a name of its own>, or ~data@controls.{key}."
            )


def _check_heads(config: RunConfig, top_k_heads: int) -> None:
    n_heads = n_attention_heads(config.model)
    if top_k_heads > n_heads:
        raise ConfigError(
            f"method.top_k_heads is {top_k_heads}, but the image encoder of model "
            f"'{config.model.name}' has {n_heads} heads; allowed: 0 to {n_heads}. "
            f"Fix: method.top_k_heads={n_heads}."
        )


def check_output(folder: Path) -> None:
    """Make an output folder, before hours are spent on what could not be written.

    Raises:
        ConfigError: If it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ConfigError(
            f"Output folder {folder} cannot be written ({error.strerror}). "
            f"Fix: output_dir=<a folder you may write to>."
        ) from error
