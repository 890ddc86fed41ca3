"""Training through all sessions, from the loaded model to the merged one."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from ablate.config.schema import LossName, RunConfig
from ablate.data.few_shot import class_sessions, decode, few_shot_indices
from ablate.data.multiple_choice import multiple_choice_items
from ablate.data.types import LabelledImages
from ablate.methods.base import Method, Session
from ablate.methods.build import build_method
from ablate.models.compute import Compute
from ablate.models.vlm import VisionLanguageModel
from ablate.results.files import replacing
from ablate.runner.audit import Probes, audit, totals
from ablate.runner.importance import importance
from ablate.runner.prepare import PreparedRun
from ablate.runner.progress import stage_bar
from ablate.runner.stages import Stopwatch
from ablate.training.loop import steps_per_epoch, train
from ablate.training.losses import Loss, build_loss

log = logging.getLogger(__name__)


def adapt(
    prepared: PreparedRun,
    vlm: VisionLanguageModel,
    compute: Compute,
    watch: Stopwatch,
    after_session: Callable[[], None],
) -> dict[str, Any]:
    """Train through all sessions, leave the merged model in `vlm`, and write the update to the run's folder.

    Args:
        prepared: The run.
        vlm: The model, frozen; it is changed in place.
        compute: Device and precision.
        watch: Adds up the seconds of each stage.
        after_session: Called after every session, with its update merged.

    Returns:
        What was trained, by column of results.csv.
    """
    config = prepared.config
    with watch.stage("load"):
        images = _few_shot_images(prepared, vlm)
    columns: dict[str, Any] = {}
    update: dict[str, Tensor] = {}
    # One method lives through all sessions: some remember earlier ones.
    method = build_method(config.method, config.loss)
    sessions = class_sessions(len(prepared.target.class_names), config.data.sessions)
    for number, classes in enumerate(sessions):
        session_images = _of_classes(images, classes)
        log.info("session %d: %d images of classes %s", number, len(session_images.ids), classes)
        with watch.stage("load"):
            loss = _loss(prepared, vlm, session_images, config.loss)
        gradients: dict[str, Tensor] = {}
        if method.importance_parameters(vlm):
            with watch.stage("importance"):
                gradients = importance(prepared, method, vlm, loss, compute, number)
        with watch.stage("train"):
            method.attach(vlm, _session(loss, gradients, config, compute))
        columns |= _audit(prepared, vlm, session_images, compute)
        with watch.stage("train"):
            _train(method, vlm, loss, config, compute)
        prefix = session_prefix(number, len(sessions))
        update |= {f"{prefix}{name}": tensor for name, tensor in method.update().items()}
        method.merge()
        vlm.requires_grad_(False).eval()
        after_session()
    _save_update(prepared, update)
    return columns


def session_prefix(number: int, n_sessions: int) -> str:
    """Return what stands before the tensor names of one session's update, if there are several."""
    return f"session{number}." if n_sessions > 1 else ""


def _session(
    loss: Loss, gradients: dict[str, Tensor], config: RunConfig, compute: Compute
) -> Session:
    """Tell a method what it is about to be trained on."""

    def autocast_loss(indices: Tensor) -> Tensor:
        with compute.autocast():
            return loss(indices)

    total_steps = config.train.epochs * steps_per_epoch(loss.n, config.train)
    return Session(autocast_loss, loss.n, total_steps, gradients, config.seed)


def _audit(
    prepared: PreparedRun, vlm: VisionLanguageModel, images: LabelledImages, compute: Compute
) -> dict[str, Any]:
    """Write the audit of what is about to be trained into the run's folder; return its sums."""
    table = audit(vlm, _probes(prepared, vlm, images), compute)
    with replacing(prepared.folder.audit_path) as temporary:
        table.to_csv(temporary, index=False)
    log.info("trained, and what it reaches:\n%s", table.to_string(index=False))
    return totals(table)


def _few_shot_images(prepared: PreparedRun, vlm: VisionLanguageModel) -> LabelledImages:
    source = prepared.target.train
    indices = few_shot_indices(source.labels, prepared.config.data.shots, prepared.config.seed)
    return decode(source, indices, vlm.resize)


def _of_classes(images: LabelledImages, classes: tuple[int, ...]) -> LabelledImages:
    chosen = torch.isin(images.labels, torch.tensor(classes)).nonzero().squeeze(1)
    ids = tuple(images.ids[row] for row in chosen.tolist())
    return LabelledImages(images.pixels[chosen], images.labels[chosen], ids)


def _loss(
    prepared: PreparedRun, vlm: VisionLanguageModel, images: LabelledImages, name: LossName
) -> Loss:
    config, target = prepared.config, prepared.target
    items = multiple_choice_items(
        images, target.class_names, target.question, config.eval.n_options, config.seed
    )
    letters = config.data.scoring != "answers"
    return build_loss(name, vlm, images, items, target.class_names, target.templates, letters)


def _probes(prepared: PreparedRun, vlm: VisionLanguageModel, images: LabelledImages) -> Probes:
    """Return both losses over the first image of two classes."""
    first = {int(label): row for row, label in reversed(list(enumerate(images.labels.tolist())))}
    rows = torch.tensor(list(first.values())[-2:])
    few = LabelledImages(
        images.pixels[rows], images.labels[rows], tuple(images.ids[row] for row in rows.tolist())
    )
    return Probes(_loss(prepared, vlm, few, "lm"), _loss(prepared, vlm, few, "clip"))


def _train(
    method: Method, vlm: VisionLanguageModel, loss: Loss, config: RunConfig, compute: Compute
) -> None:
    per_epoch = steps_per_epoch(loss.n, config.train)
    losses: list[float] = []
    with (
        stage_bar("train", config.train.epochs * per_epoch, "step") as advance,
        _checkpointing(vlm, config.train.gradient_checkpointing),
    ):

        def on_step(value: float) -> None:
            advance(1)
            losses.append(value)
            if len(losses) % per_epoch == 0:
                mean = sum(losses[-per_epoch:]) / per_epoch
                log.info("epoch %d: loss %.5f", len(losses) // per_epoch, mean)

        train(vlm, method, loss, config.train, compute, config.seed, on_step)


@contextmanager
def _checkpointing(vlm: VisionLanguageModel, wanted: bool) -> Iterator[None]:
    """Recompute activations in the backward pass, where wanted."""
    if wanted:
        vlm.llava.gradient_checkpointing_enable({"use_reentrant": False})
    yield
    if wanted:
        vlm.llava.gradient_checkpointing_disable()


def _save_update(prepared: PreparedRun, update: dict[str, Tensor]) -> None:
    if update:
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in update.items()}
        with replacing(prepared.folder.adapter_path) as temporary:
            save_file(tensors, temporary)
