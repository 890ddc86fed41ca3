"""From the configuration to trackers, and whether they can be there at all."""

import os
from collections.abc import Mapping
from dataclasses import fields
from importlib.util import find_spec
from typing import Any

from ablate.config.errors import ConfigError
from ablate.config.schema.trackers import (
    MlflowTracker,
    TensorboardTracker,
    TrackerConfig,
    TrackioTracker,
    WandbTracker,
)
from ablate.trackers.base import Tracker

# What each imports; the extra that brings it has the tracker's name.
_PACKAGES = {
    "wandb": ("wandb",),
    "mlflow": ("mlflow", "sqlalchemy", "alembic"),
    "trackio": ("trackio",),
    "tensorboard": ("tensorboard",),
}
# With one of these set, trackio sends what it is given to a server.
_REMOTE = ("TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL")


def check_trackers(config: TrackerConfig) -> None:
    """Check that the trackers can write where they are meant to.

    Raises:
        ConfigError: If a package is missing, or trackio would send the numbers away.
    """
    for name in settings_of(config):
        for package in _PACKAGES[name]:
            if find_spec(package) is None:
                raise ConfigError(
                    f"tracker={name} needs the package {package}, which is not installed. "
                    f"Fix: pip install 'ablate-vlm[{name}]', or leave the tracker out."
                )
        remote = [variable for variable in _REMOTE if os.environ.get(variable)]
        if name == "trackio" and remote:
            raise ConfigError(
                f"{remote[0]} is set, but tracker=trackio writes to this machine alone. Fix: unset {remote[0]}."
            )


def settings_of(config: TrackerConfig) -> Mapping[str, Any]:
    """Return the settings of the trackers that are on, by name."""
    found = {field.name: getattr(config, field.name) for field in fields(config)}
    return {name: settings for name, settings in found.items() if settings is not None}


def build_tracker(settings: object) -> Tracker:
    """Make the tracker of some settings; its library is not imported before it starts."""
    match settings:
        case WandbTracker():
            from ablate.trackers.wandb import Wandb

            return Wandb(settings)
        case MlflowTracker():
            from ablate.trackers.mlflow import Mlflow

            return Mlflow(settings)
        case TrackioTracker():
            from ablate.trackers.trackio import Trackio

            return Trackio(settings)
        case TensorboardTracker():
            from ablate.trackers.tensorboard import Tensorboard

            return Tensorboard(settings)
    raise TypeError(f"{settings!r} is no tracker's")
