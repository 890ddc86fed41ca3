"""Few-shot adaptation through all sessions, from the loaded model to the merged one."""

import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ablate.config.schema import LossName
from ablate.data.few_shot import class_sessions, decode, few_shot_indices
from ablate.data.multiple_choice import multiple_choice_items
from ablate.data.types import LabelledImages
from ablate.methods.build import build_method
from ablate.models.compute import Compute
from ablate.models.vlm import VisionLanguageModel
from ablate.runner.audit import Probes
from ablate.runner.fit import end_training, fit, save_update, session_of, write_audit
from ablate.runner.importance import importance
from ablate.runner.prepare import FewShotRun
from ablate.runner.stages import Stopwatch
from ablate.runner.training import FinishedTraining
from ablate.training.losses import Loss, build_loss

log = logging.getLogger(__name__)


def adapt(
    prepared: FewShotRun,
    vlm: VisionLanguageModel,
    compute: Compute,
    watch: Stopwatch,
    after_session: Callable[[], None],
) -> FinishedTraining:
    """Train through all sessions, leave the merged model in `vlm`, and write the update to the run's folder.

    What has been trained is on disk before `after_session` is called.

    Args:
        prepared: The run.
        vlm: The model, frozen; it is changed in place.
        compute: Device and precision.
        watch: Adds up the seconds of each stage.
        after_session: Called after every session, with its update merged.

    Returns:
        What was trained.
    """
    config = prepared.config
    with watch.stage("load"):
        images = _few_shot_images(prepared, vlm)
    columns: dict[str, Any] = {}
    update: dict[str, Tensor] = {}
    # One method lives through all sessions: some remember earlier ones.
    method = build_method(config.method, config.loss)
    sessions = class_sessions(len(prepared.target.class_names), prepared.data.sessions)
    for number, classes in enumerate(sessions):
        session_images = _of_classes(images, classes)
        log.info("session %d: %d images of classes %s", number, len(session_images.ids), classes)
        with watch.stage("load"):
            loss = _loss(prepared, vlm, session_images, config.loss)
        gradients: dict[str, Tensor] = {}
        if method.importance_parameters(vlm):
            with watch.stage("importance"):
                gradients = importance(prepared, method, vlm, loss, compute, number == 0)
        with watch.stage("train"):
            method.attach(vlm, session_of(loss, gradients, config.train, config.seed, compute))
        columns |= write_audit(prepared, vlm, _probes(prepared, vlm, session_images), compute)
        with watch.stage("train"):
            fit("train", method, vlm, loss, config.train, config.seed, compute)
        prefix = session_prefix(number, len(sessions))
        update |= {f"{prefix}{name}": tensor for name, tensor in method.update().items()}
        method.merge()
        vlm.requires_grad_(False).eval()
        save_update(prepared, update)
        if number == len(sessions) - 1:
            training = end_training(prepared, columns, compute, watch)
        after_session()
    return training


def session_prefix(number: int, n_sessions: int) -> str:
    """Return what stands before the tensor names of one session's update, if there are several."""
    return f"session{number}." if n_sessions > 1 else ""


def _few_shot_images(prepared: FewShotRun, vlm: VisionLanguageModel) -> LabelledImages:
    source = prepared.target.train
    indices = few_shot_indices(source.labels, prepared.data.shots, prepared.config.seed)
    return decode(source, indices, vlm.resize)


def _of_classes(images: LabelledImages, classes: tuple[int, ...]) -> LabelledImages:
    chosen = torch.isin(images.labels, torch.tensor(classes)).nonzero().squeeze(1)
    ids = tuple(images.ids[row] for row in chosen.tolist())
    return LabelledImages(images.pixels[chosen], images.labels[chosen], ids)


def _loss(
    prepared: FewShotRun, vlm: VisionLanguageModel, images: LabelledImages, name: LossName
) -> Loss:
    config, target = prepared.config, prepared.target
    items = multiple_choice_items(
        images, target.class_names, target.question, config.eval.n_options, config.seed
    )
    letters = prepared.data.scoring != "answers"
    return build_loss(name, vlm, images, items, target.class_names, target.templates, letters)


def _probes(prepared: FewShotRun, vlm: VisionLanguageModel, images: LabelledImages) -> Probes:
    """Return every loss that the model has over the first image of two classes."""
    first = {int(label): row for row, label in reversed(list(enumerate(images.labels.tolist())))}
    rows = torch.tensor(list(first.values())[-2:])
    few = LabelledImages(
        images.pixels[rows], images.labels[rows], tuple(images.ids[row] for row in rows.tolist())
    )
    contrastive = None if vlm.clip is None else _loss(prepared, vlm, few, "clip")
    return Probes(_loss(prepared, vlm, few, "lm"), contrastive)
