"""One training stage of a run: the loop with its bar, the audit before it, the update after it."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from ablate.config.schema import TrainConfig
from ablate.methods.base import Method, Session
from ablate.models.compute import Compute
from ablate.models.vlm import VisionLanguageModel
from ablate.results.files import replacing
from ablate.runner.audit import Probes, audit, totals
from ablate.runner.prepare import PreparedRun
from ablate.runner.progress import stage_bar
from ablate.runner.stages import Stopwatch, peak_memory_bytes
from ablate.runner.training import FinishedTraining, keep_training
from ablate.training.loop import steps_per_epoch, train
from ablate.training.losses import Loss

log = logging.getLogger(__name__)


def session_of(
    loss: Loss, gradients: Mapping[str, Tensor], config: TrainConfig, seed: int, compute: Compute
) -> Session:
    """Tell a method what it is about to be trained on.

    Args:
        loss: The loss over the training set.
        gradients: Mean gradients of what the method ranks.
        config: The stage's recipe.
        seed: Seed of the initialisation.
        compute: Device and precision.
    """

    def autocast_loss(indices: Tensor) -> Tensor:
        with compute.autocast():
            return loss(indices)

    total_steps = config.epochs * steps_per_epoch(loss.n, config)
    return Session(autocast_loss, loss.n, total_steps, gradients, seed)


def write_audit(
    prepared: PreparedRun, vlm: VisionLanguageModel, probes: Probes, compute: Compute
) -> dict[str, Any]:
    """Write the audit of what is about to be trained into the run's folder; return its sums by column."""
    table = audit(vlm, probes, compute)
    with replacing(prepared.folder.audit_path) as temporary:
        table.to_csv(temporary, index=False)
    log.info("trained, and what it reaches:\n%s", table.to_string(index=False))
    return totals(table)


def fit(
    label: str,
    method: Method,
    vlm: VisionLanguageModel,
    loss: Loss,
    config: TrainConfig,
    seed: int,
    compute: Compute,
) -> None:
    """Train what the attached method has made trainable, with a bar and a line in the log for every epoch.

    Args:
        label: What the bar says.
        method: Attached to `vlm`.
        vlm: The model.
        loss: The loss over the training set.
        config: The stage's recipe.
        seed: Seed of the batch order.
        compute: Device and precision.
    """
    per_epoch = steps_per_epoch(loss.n, config)
    losses: list[float] = []
    with (
        stage_bar(label, config.epochs * per_epoch, "step") as advance,
        _checkpointing(vlm, config.gradient_checkpointing),
    ):

        def on_step(value: float) -> None:
            advance(1)
            losses.append(value)
            if len(losses) % per_epoch == 0:
                mean = sum(losses[-per_epoch:]) / per_epoch
                log.info("%s, epoch %d: loss %.5f", label, len(losses) // per_epoch, mean)

        train(vlm, method, loss, config, compute, seed, on_step)


def save_update(prepared: PreparedRun, update: Mapping[str, Tensor]) -> None:
    """Write an update to the run's folder; an empty one leaves no file."""
    if update:
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in update.items()}
        with replacing(prepared.folder.adapter_path) as temporary:
            save_file(tensors, temporary)


def end_training(
    prepared: PreparedRun, columns: dict[str, Any], compute: Compute, watch: Stopwatch
) -> FinishedTraining:
    """Write down that a run's update, which is in its folder, is all that it trains.

    From here on a failed evaluation costs no second training.
    """
    peak = peak_memory_bytes(compute.device)
    return keep_training(prepared.folder, columns, dict(watch.seconds), peak, compute)


@contextmanager
def _checkpointing(vlm: VisionLanguageModel, wanted: bool) -> Iterator[None]:
    """Recompute activations in the backward pass, where wanted."""
    if wanted:
        vlm.llava.gradient_checkpointing_enable({"use_reentrant": False})
    yield
    if wanted:
        vlm.llava.gradient_checkpointing_disable()
