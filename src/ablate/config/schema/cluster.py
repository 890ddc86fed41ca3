"""Where the runs of a sweep are made; no part of a run, whose numbers do not depend on it."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from ablate.config.schema.fields import CLOSED, NonNegativeInt, PositiveInt

# A line break would be a line of its own in the script that goes to Slurm.
Line = Annotated[str, Field(pattern=r"^[ -~]+$")]


@dataclass(frozen=True, config=CLOSED)
class NoCluster:
    """One run after the other, in this process.

    Attributes:
        kind: `none`.
    """

    kind: Literal["none"]


@dataclass(frozen=True, config=CLOSED)
class SlurmCluster:
    """Every run is a job of one Slurm job array.

    Attributes:
        kind: `slurm`.
        partition: Queue of the jobs; None for Slurm's default.
        account: What the jobs are charged to; None for Slurm's default.
        qos: Quality of service; None for Slurm's default.
        constraint: What the nodes must have; None for no constraint.
        minutes: Time limit of a job.
        memory_gb: Main memory of a job; None for Slurm's default.
        gpus: GPUs of a job; None for a job without one.
        cpus: Cores of a job; None for Slurm's default.
        at_once: Most jobs that run at the same time.
        warning_seconds: How long before its time limit a job is told to end, to leave an honest row.
        requeues: How often a job whose time is up is queued again.
    """

    kind: Literal["slurm"]
    partition: Line | None
    account: Line | None
    qos: Line | None
    constraint: Line | None
    minutes: PositiveInt
    memory_gb: PositiveInt | None
    gpus: PositiveInt | None
    cpus: PositiveInt | None
    at_once: PositiveInt
    warning_seconds: PositiveInt
    requeues: NonNegativeInt


@dataclass(frozen=True, config=CLOSED)
class BoxCluster:
    """Every run waits for GPUs of its own, on this machine or in a Ray cluster.

    Attributes:
        kind: `box`.
        gpus: GPUs of one run; 0 for runs on the CPU.
        cpus: Threads of one run; None for its share of the machine's cores.
        tries: How many processes may die while they make one run.
        address: The Ray cluster to join; None for this machine alone.
    """

    kind: Literal["box"]
    gpus: NonNegativeInt
    cpus: PositiveInt | None
    tries: PositiveInt
    address: Line | None


ClusterConfig = Annotated[NoCluster | BoxCluster | SlurmCluster, Field(discriminator="kind")]


@dataclass(frozen=True, config=CLOSED)
class SweepConfig:
    """What holds for a sweep as a whole.

    Attributes:
        cluster: Where its runs are made.
    """

    cluster: ClusterConfig
