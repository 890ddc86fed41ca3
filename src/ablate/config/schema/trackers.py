"""Where a run's numbers are sent besides its row: one class for each tracker."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from ablate.config.schema.fields import CLOSED

FILE = "sqlite:///"


@dataclass(frozen=True, config=CLOSED)
class WandbTracker:
    """Weights & Biases.

    Attributes:
        project: Name of the project.
        entity: User or team that it belongs to; None for the user's own.
        mode: `offline` writes files that `wandb sync` sends; `online` sends them while a run goes on.
        folder: Where its folder `wandb/` goes.
    """

    project: str
    entity: str | None
    mode: Literal["offline", "online"]
    folder: str


@dataclass(frozen=True, config=CLOSED)
class MlflowTracker:
    """MLflow.

    Attributes:
        experiment: Name of the experiment.
        tracking_uri: A database file as `sqlite:///PATH`, or a server's address, without a password: it is written
            into every run's config.yaml.
    """

    experiment: str
    tracking_uri: Annotated[str, Field(pattern=rf"^({FILE}.+|https?://[^@]+)$")]

    @property
    def is_file(self) -> bool:
        """Whether it stays on this machine."""
        return self.tracking_uri.startswith(FILE)


@dataclass(frozen=True, config=CLOSED)
class TrackioTracker:
    """Trackio, on this machine alone.

    Attributes:
        project: Name of the project.
        folder: Where its database goes; one for all runs of a process, as it is in trackio.
    """

    project: str
    folder: str


@dataclass(frozen=True, config=CLOSED)
class TensorboardTracker:
    """TensorBoard.

    Attributes:
        folder: Where every run has a folder of its own.
    """

    folder: str


@dataclass(frozen=True, config=CLOSED)
class TrackerConfig:
    """The trackers that are on; the others are None."""

    wandb: WandbTracker | None
    mlflow: MlflowTracker | None
    trackio: TrackioTracker | None
    tensorboard: TensorboardTracker | None
