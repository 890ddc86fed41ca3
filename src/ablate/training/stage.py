"""One training stage, from the frozen model to the merged one."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor

from ablate.config.schema import TrainConfig
from ablate.methods.base import Method, Session
from ablate.models.compute import Compute
from ablate.models.vlm import VisionLanguageModel
from ablate.telemetry.cost import Stopwatch
from ablate.telemetry.progress import stage_bar
from ablate.trackers.tracking import OnStep, untracked
from ablate.training.audit import Probes, audit
from ablate.training.importance import ImportanceCache, mean_gradients_of
from ablate.training.losses import Loss
from ablate.training.memory import explained, recomputing
from ablate.training.saving import Saving, changing, fill
from ablate.training.trainer import Trainer, steps_per_epoch

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Examples:
    """What a stage is trained on, ready for the model.

    Attributes:
        loss: The loss over the training set.
        probes: Losses of a few examples, to see what the trained parameters reach; None for a stage that only
            prepares another.
    """

    loss: Loss
    probes: Probes | None


@dataclass(frozen=True)
class Trained:
    """What a stage has done.

    Attributes:
        update: Tensors by name, on the CPU.
        micro_batch: Most examples of a forward pass in training; None where nothing is trained.
    """

    update: dict[str, Tensor]
    micro_batch: int | None


@dataclass(frozen=True)
class Stage:
    """One training of a recipe.

    Attributes:
        label: What its bar says.
        method: What is trained; one object may live through several stages.
        train: How.
        examples: Decodes and tokenises the training set for a loaded model.
        prefix: What stands before the names of its tensors in adapter.safetensors; None where a later stage's
            update holds all that it has changed.
        starts_from_base: Whether nothing has been trained before it, so that other runs may share its importance.
    """

    label: str
    method: Method
    train: TrainConfig
    examples: Callable[[VisionLanguageModel], Examples]
    prefix: str | None
    starts_from_base: bool


def run_stage(
    stage: Stage,
    vlm: VisionLanguageModel,
    compute: Compute,
    seed: int,
    watch: Stopwatch,
    importance: ImportanceCache,
    on_audit: Callable[[pd.DataFrame], None],
    saving: Saving,
    on_step: OnStep = untracked,
) -> Trained:
    """Train one stage and merge what it has trained.

    Args:
        stage: The stage.
        vlm: The model, frozen; it is changed in place, and is frozen afterwards.
        compute: Device and precision.
        seed: Seed of initialisation and batch order.
        watch: Adds up the seconds of `load`, `importance` and `train`.
        importance: Where the gradients of stages that start from the base model are kept.
        on_audit: Called before training with what is about to be trained and what it reaches; not for a stage that
            only prepares another, or that goes on.
        saving: When and how its state is kept, and what an earlier process has kept of it.
        on_step: Called after every optimiser step.

    Raises:
        NonFiniteLossError: If the training loss became NaN or infinite.
        DoesNotFitError: If one example does not fit into memory, or batch normalisation has to see several.
    """
    method = stage.method
    with watch.stage("load"):
        examples = stage.examples(vlm)
    with explained(f"stage '{stage.label}'", stage.train, compute):
        loss = examples.loss
        if saving.saved is None:
            _attach(stage, vlm, loss, compute, seed, watch, importance)
            if examples.probes is not None:
                table = audit(vlm, examples.probes, compute)
                log.info("trained, and what it reaches:\n%s", table.to_string(index=False))
                on_audit(table)
        else:
            with watch.stage("train"):
                session = _session(vlm, loss, {}, stage.train, seed, compute)
                method.make_trainable(vlm, session)
                fill(vlm, saving.saved["model"])
                method.load_state_dict(saving.saved["method"], session)
        with watch.stage("train"):
            micro_batch = _train(stage, vlm, loss, seed, compute, saving, on_step)
        trained = Trained(method.update(), micro_batch)
        method.merge()
        vlm.requires_grad_(False).eval()
        return trained


def _attach(
    stage: Stage,
    vlm: VisionLanguageModel,
    loss: Loss,
    compute: Compute,
    seed: int,
    watch: Stopwatch,
    importance: ImportanceCache,
) -> None:
    """Measure importance where the method wants it, and make its parameters trainable."""
    method = stage.method
    gradients: Mapping[str, Tensor] = {}
    if parameters := method.importance_parameters(vlm):
        # What does not fit without recomputation in training does not fit here either.
        recomputed = recomputing(vlm, stage.train.gradient_checkpointing)
        with watch.stage("importance"), recomputed:

            def measure() -> dict[str, Tensor]:
                return mean_gradients_of(parameters, vlm, loss, stage.train, compute, seed)

            found = (
                importance.gradients(parameters, measure) if stage.starts_from_base else measure()
            )
            gradients = {name: tensor.to(compute.device) for name, tensor in found.items()}
    with watch.stage("train"):
        # A method may measure by the loss, which may draw.
        torch.manual_seed(seed)
        method.attach(vlm, _session(vlm, loss, gradients, stage.train, seed, compute))


def replay_stage(
    stage: Stage, vlm: VisionLanguageModel, update: Mapping[str, Tensor], seed: int
) -> None:
    """Merge what a stage trained in an earlier process.

    Args:
        stage: The stage.
        vlm: The model as the stage found it; it is changed in place, and is frozen afterwards.
        update: What `run_stage` returned as such.
        seed: Seed that the run had.
    """
    stage.method.load(vlm, update, seed)
    stage.method.merge()
    vlm.requires_grad_(False).eval()


def _session(
    vlm: VisionLanguageModel,
    loss: Loss,
    gradients: Mapping[str, Tensor],
    config: TrainConfig,
    seed: int,
    compute: Compute,
) -> Session:
    """Tell a method what it is about to be trained on."""

    def autocast_loss(indices: Tensor) -> Tensor:
        with compute.autocast():
            return loss(vlm, indices)

    total_steps = config.epochs * steps_per_epoch(loss.n, config)
    return Session(autocast_loss, loss.n, total_steps, gradients, seed)


def _train(
    stage: Stage,
    vlm: VisionLanguageModel,
    loss: Loss,
    seed: int,
    compute: Compute,
    saving: Saving,
    on_step: OnStep,
) -> int | None:
    """Train what the attached method has made trainable, with a bar and a line in the log for every epoch.

    Returns:
        Most examples of a forward pass; None where there was none.
    """
    trainer = Trainer(vlm, stage.method, loss, stage.train, compute, seed)
    per_epoch = steps_per_epoch(loss.n, stage.train)
    losses: list[float] = []  # of the epoch that is going on
    if saving.saved is not None:
        trainer.load_state_dict(saving.saved["trainer"])
        losses += saving.saved["losses"]
        log.info("%s goes on after step %d", stage.label, trainer.step)

    def save() -> None:
        saving.save(
            {
                "trainer": trainer.state_dict(),
                "losses": losses,
                "model": changing(vlm),
                "method": stage.method.state_dict(),
            }
        )

    with (
        stage_bar(stage.label, stage.train.epochs * per_epoch, "step") as advance,
        recomputing(vlm, stage.train.gradient_checkpointing),
        saving.safe_points.saving(save) as reached,
    ):
        advance(trainer.step)

        def after_step(value: float) -> None:
            advance(1)
            on_step(stage.label, trainer.step - 1, value, trainer.learning_rate)
            losses.append(value)
            if len(losses) == per_epoch:
                mean = sum(losses) / per_epoch
                log.info("%s, epoch %d: loss %.5f", stage.label, trainer.step // per_epoch, mean)
                losses.clear()
            reached()

        trainer.train(after_step)
        if saving.at_end:
            save()
    return trainer.micro_batch if trainer.total_steps else None
