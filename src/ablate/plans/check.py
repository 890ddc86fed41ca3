"""An imported ablation put to the same checks as `ablate run` puts its own; no run is made."""

from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig

from ablate.plans.base import compose_words
from ablate.sweep.expansion import expand


def check_ablation_file(name: str, folder: Path) -> int:
    """Compose and prepare every run of an ablation.

    Args:
        name: The ablation.
        folder: The config folder that it is in.

    Returns:
        How many runs it has.

    Raises:
        ConfigError: If a run could not be made.
        HydraException: If it cannot be composed.
    """

    def compose(words: list[str]) -> DictConfig:
        return compose_words(words, folder).config

    specs = expand(OverridesParser.create().parse_overrides([f"+ablation={name}"]), compose)

    from ablate.sweep.prepared import prepare_all

    return len(prepare_all(specs))
