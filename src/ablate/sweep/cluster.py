"""Where the runs of a sweep are made: one place for all of them, checked before anything is loaded."""

from typing import cast

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig, OmegaConf

from ablate.clusters.launcher import AnyLauncher
from ablate.clusters.slurm import SlurmQueue
from ablate.config.errors import ConfigError
from ablate.config.reading import read_sweep_config
from ablate.config.schema import BoxCluster


def check_cluster(config: DictConfig) -> None:
    """Check the keys of `cluster`, before a launcher is made of them.

    Args:
        config: The configuration of the sweep.

    Raises:
        ConfigError: If one is wrong, or is swept over.
    """
    words = OmegaConf.to_container(config.hydra.overrides.task, resolve=False)
    overrides = OverridesParser.create().parse_overrides(cast("list[str]", words))
    for override in overrides:
        if override.is_sweep_override() and override.key_or_group.partition(".")[0] == "cluster":
            raise ConfigError(
                f"{override.input_line} was given, but all runs of a call are made in one place. "
                f"Fix: give {override.key_or_group} one value."
            )
    cluster = read_sweep_config(config).cluster
    given = [override.key_or_group for override in overrides]
    if isinstance(cluster, BoxCluster) and cluster.address and "cluster.address" not in given:
        raise ConfigError(
            "A configuration file sets cluster.address; a file cannot, since what those machines answer is run here. "
            f"Fix: cluster.address='{cluster.address}' on the command line, if they are yours."
        )


def chosen_launcher(launcher: Launcher) -> AnyLauncher:
    """Return what makes the runs: a launcher, or in its place what tells of each of its jobs when it ends."""
    return SlurmQueue(launcher) if SlurmQueue.is_for(launcher) else launcher
