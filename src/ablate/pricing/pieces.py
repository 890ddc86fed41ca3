"""The pieces that a run consists of, in the order in which it makes them, and which of them are there already."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ablate.evaluation.cache import AnswerCache
from ablate.evaluation.task import Task
from ablate.models.compute import Compute
from ablate.pricing.evaluation import TaskPrice
from ablate.pricing.planned import PlannedRun
from ablate.pricing.training import StagePrice
from ablate.results.training import kept_training
from ablate.runner.done import is_done
from ablate.runner.identity import base_weights, importance_key, language_weights
from ablate.training.importance import ImportanceCache

Kind = Literal["importance", "training", "evaluation"]
State = Literal["done", "trained", "begun", "to run", "unknown"]


@dataclass(frozen=True)
class Piece:
    """A part of a run that may be there already, or be shared with another run.

    Attributes:
        kind: What it is.
        of: The stage, or the task.
        label: What people call it.
        flops: Operations; None where they are not known.
        read_bytes: Weights read for one token each.
        peak_bytes: The most that is held at once; None where it is not known.
        key: Names a result that other runs may use; None for one's own.
        is_kept: Whether the result is on disk.
        why_not_priced: Why `flops` is None.
    """

    kind: Kind
    of: str
    label: str
    flops: int | None
    read_bytes: int
    peak_bytes: int | None
    key: str | None
    is_kept: bool
    why_not_priced: str | None = None


def state_of(run: PlannedRun, compute: Compute) -> State:
    """Say how far a run has come: `trained` leaves its evaluation; of what was `begun`, some steps may be done.

    Args:
        run: The run.
        compute: Device and precision that it would be made with.
    """
    if run.prepared is None:
        return "unknown"
    if is_done(run.prepared):
        return "done"
    force, folder = run.config.force, run.prepared.folder
    kept = None if force else kept_training(folder, (compute.device.type, compute.precision))
    if kept is not None:
        return "trained"
    return "begun" if folder.checkpoint_path.exists() and not force else "to run"


def training_pieces(
    run: PlannedRun, stages: list[StagePrice], state: State, compute: Compute
) -> Iterator[Piece]:
    """Yield what comes before evaluation."""
    is_trained = state in ("trained", "done")
    for number, stage in enumerate(stages):
        if stage.ranked:
            key = _importance(run, stage, compute, number)
            yield Piece(
                "importance",
                stage.label,
                stage.label,
                stage.importance_flops,
                0,
                stage.importance_bytes,
                key,
                is_trained or _is_ranked(run, stage, compute, number),
            )
        flops = stage.measuring_flops + stage.training_flops
        yield Piece(
            "training", stage.label, stage.label, flops, 0, stage.peak_bytes, None, is_trained
        )


def evaluation_pieces(
    run: PlannedRun,
    n_sessions: int,
    is_trained: tuple[bool, bool],
    prices: dict[str, TaskPrice | str],
    state: State,
    compute: Compute,
) -> Iterator[Piece]:
    """Yield every evaluation of a run: before training, after each session, controls, suite.

    Args:
        run: The run.
        n_sessions: Sessions after each of which the target is evaluated.
        is_trained: Whether anything is trained, and whether the language model is.
        prices: Price by task, or why there is none.
        state: How far the run has come.
        compute: Device and precision that it would be made with.
    """
    anything, language = is_trained
    prints = {} if run.prepared is None else run.prepared.fingerprints
    base = base_weights(run.config, prints) if prints else "base"
    cache = None
    if run.prepared is not None:
        cache = AnswerCache(run.prepared.cache_folder, compute)

    def piece(label: str, task: Task, weights: str | None) -> Piece:
        key = None if weights is None else f"{task.name} {task.fingerprint} {weights}"
        is_kept = state == "done" or (
            weights is not None
            and cache is not None
            and cache.has(cache.key(task, weights, run.config.eval))
        )
        price = prices[task.name]
        if isinstance(price, str):
            return Piece("evaluation", task.name, label, None, 0, None, key, is_kept, price)
        return Piece(
            "evaluation",
            task.name,
            label,
            price.flops,
            price.read_bytes,
            price.peak_bytes,
            key,
            is_kept,
        )

    own, after = run.data.tasks, None if anything else base
    for task in own:
        yield piece(f"{task.name} before", task, base)
    for _ in range(n_sessions if own else 0):
        yield piece(own[0].name, own[0], after)
    for task in own[1:]:
        yield piece(task.name, task, after)
    for one in run.suite:
        weights = after
        if one.kind == "text" and not language:
            weights = language_weights(run.config, prints) if prints else "language"
        yield piece(one.name, one, weights)
    for name, why in run.not_loaded.items():
        yield Piece("evaluation", name, name, None, 0, None, None, state == "done", why)


def _importance(run: PlannedRun, stage: StagePrice, compute: Compute, number: int) -> str | None:
    """Name the ranking that other runs may use: the first stage's, of a model that nothing has trained."""
    if number:
        return None
    prints = {} if run.prepared is None else run.prepared.fingerprints
    return importance_key(run.config, prints, compute, sorted(stage.ranked))


def _is_ranked(run: PlannedRun, stage: StagePrice, compute: Compute, number: int) -> bool:
    prepared = run.prepared
    if number or prepared is None:
        return False
    cache = ImportanceCache(
        prepared.cache_folder,
        lambda names: importance_key(prepared.config, prepared.fingerprints, compute, names),
    )
    return cache.is_kept(stage.ranked)
