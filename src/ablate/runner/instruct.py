"""Training on instructions in two stages: align the projector, then train what the run trains."""

import logging

from ablate.config.schema import RunConfig
from ablate.data.types import InstructionData
from ablate.methods.build import build_method
from ablate.methods.full import Full
from ablate.methods.joint import Joint
from ablate.models.compute import Compute
from ablate.models.vlm import VisionLanguageModel
from ablate.runner.audit import Probes
from ablate.runner.fit import end_training, fit, save_update, session_of, write_audit
from ablate.runner.importance import importance
from ablate.runner.prepare import InstructionRun
from ablate.runner.stages import Stopwatch
from ablate.runner.training import FinishedTraining
from ablate.training.instruction_loss import InstructionLoss

log = logging.getLogger(__name__)


def instruction_method(config: RunConfig) -> Joint:
    """Return what the second stage trains: the projector, and what the run says of encoder and language model.

    Args:
        config: A run on instructions.

    Raises:
        ValueError: If the run says nothing of the language model.
    """
    if config.language is None:
        raise ValueError(f"run '{config.name}' has no method for its language model")
    return Joint(
        {
            "encoder": build_method(config.method, config.loss),
            "language_model": build_method(config.language, config.loss),
            "projector": Full("projector", 1.0),
        }
    )


def instruct(
    prepared: InstructionRun, vlm: VisionLanguageModel, compute: Compute, watch: Stopwatch
) -> FinishedTraining:
    """Train on instructions, leave the merged model in `vlm`, and write the update to the run's folder.

    Every run sees the same conversations in the same order for the same number of steps, whatever
    its encoder.

    Args:
        prepared: The run.
        vlm: The model, frozen, under a fresh projector; it is changed in place.
        compute: Device and precision.
        watch: Adds up the seconds of each stage.

    Returns:
        What was trained.
    """
    config = prepared.config
    _align(prepared, vlm, compute, watch)
    with watch.stage("load"):
        loss = _loss(prepared, vlm, prepared.instructions)
    method = instruction_method(config)
    gradients = {}
    if method.importance_parameters(vlm):
        with watch.stage("importance"):
            gradients = importance(prepared, method, vlm, loss, compute, is_reusable=False)
    with watch.stage("train"):
        method.attach(vlm, session_of(loss, gradients, config.train, config.seed, compute))
    columns = write_audit(prepared, vlm, Probes(loss, contrastive=None), compute)
    with watch.stage("train"):
        fit("fine-tune", method, vlm, loss, config.train, config.seed, compute)
    save_update(prepared, method.update())
    method.merge()
    vlm.requires_grad_(False).eval()
    return end_training(prepared, columns, compute, watch)


def _loss(
    prepared: InstructionRun, vlm: VisionLanguageModel, data: InstructionData
) -> InstructionLoss:
    loss = InstructionLoss(vlm, data, prepared.data.max_tokens, str(prepared.config.model.turn))
    if loss.n_left_out:
        log.warning(
            "%d of %d conversations have no answer within %d tokens and are left out",
            loss.n_left_out,
            len(data.conversations),
            prepared.data.max_tokens,
        )
    return loss


def _align(
    prepared: InstructionRun, vlm: VisionLanguageModel, compute: Compute, watch: Stopwatch
) -> None:
    """Train the projector alone on the conversations that have an image, where the recipe says so."""
    config = prepared.config
    if config.align is None:
        return
    with watch.stage("load"):
        with_images = prepared.instructions.with_images_only()
        loss = _loss(prepared, vlm, with_images)
    projector = Full("projector", 1.0)
    with watch.stage("train"):
        projector.attach(vlm, session_of(loss, {}, config.align, config.seed, compute))
        fit("align", projector, vlm, loss, config.align, config.seed, compute)
        projector.merge()
    vlm.requires_grad_(False).eval()
