"""What one stage of training takes: importance, what the method measures, the steps."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ablate.methods.base import Method, Session
from ablate.methods.peft_types import first_line, needs_content
from ablate.models.compute import Compute
from ablate.models.skeleton import without_content
from ablate.models.vlm import VisionLanguageModel
from ablate.pricing.dry import DryModel, tensor_bytes
from ablate.pricing.hollow import ContentNeededError
from ablate.pricing.part import Part
from ablate.pricing.steps import Steps, chosen_batches
from ablate.training.audit import audit, totals
from ablate.training.importance import mean_gradients_of
from ablate.training.losses import Loss
from ablate.training.memory import recomputing
from ablate.training.stage import Stage
from ablate.training.trainer import steps_per_epoch

# Examples that a method's own measurement is counted on.
_MEASURED_EXAMPLES = 4


@dataclass(frozen=True)
class StagePrice:
    """What one stage takes.

    Attributes:
        label: Name of the stage.
        trained: Scalars that are trained.
        effective: Those that can change an answer; None for a stage that only prepares another.
        n_examples: Size of its training set.
        n_steps: Optimiser steps.
        importance_flops: Operations of ranking weights before training, 0 where nothing is ranked by gradient.
        importance_bytes: The most that ranking holds at once, weights included; 0 as above.
        ranked: Names of the ranked weights.
        measuring_flops: Operations of what else comes before the steps: texts embedded, Fisher information, audit.
        training_flops: Operations of all steps.
        weight_bytes: Parameters and buffers with the adapter.
        gradient_bytes: Gradients of what is trained.
        optimizer_bytes: The optimiser's moments.
        peak_bytes: The most that a step on the longest batch holds at once, all of the above included.
    """

    label: str
    trained: int
    effective: int | None
    n_examples: int
    n_steps: int
    importance_flops: int
    importance_bytes: int
    ranked: tuple[str, ...]
    measuring_flops: int
    training_flops: int
    weight_bytes: int
    gradient_bytes: int
    optimizer_bytes: int
    peak_bytes: int

    @property
    def activation_bytes(self) -> int:
        """What else is alive at the peak: activations, and what a step computes with."""
        return self.peak_bytes - self.weight_bytes - self.gradient_bytes - self.optimizer_bytes

    def of(self, n_examples: int, n_steps: int) -> "StagePrice":
        """Return the price of the same stage on another number of examples of the same kind."""
        share = n_examples / self.n_examples
        return replace(
            self,
            n_examples=n_examples,
            n_steps=n_steps,
            importance_flops=int(self.importance_flops * share),
            measuring_flops=int(self.measuring_flops * share),
            training_flops=int(self.training_flops * share),
        )


def price_stage(
    stage: Stage, skeleton: VisionLanguageModel, compute: Compute, seed: int
) -> StagePrice:
    """Make a stage's steps without a number in them.

    Args:
        stage: The stage; its data without images. Its method is used up.
        skeleton: The model on `meta`, its parameters of the types that a run loads them in; it is left as it is.
        compute: The CPU, and the precision that is planned with.
        seed: The run's seed.

    Raises:
        NotImplementedError: If the method looks into weights before it can be attached.
    """
    plain = DryModel(without_content(skeleton))
    with plain.metered() as meter:
        examples = stage.examples(plain.vlm)
    measuring_flops = meter.flops
    importance = _importance(stage, plain, examples.loss, compute, seed)
    del plain
    gradients = importance.gradients
    dry = attached(stage.method, skeleton, seed)
    trained = [p for p in dry.vlm.parameters() if p.requires_grad]
    # A run holds the gradients that it ranked by until its stage ends.
    with dry.metered(gradients.values()) as meter:
        session = _session(stage, examples.loss, dry.vlm, gradients, compute, seed)
        with suppress(ContentNeededError):
            # Choosing by gradients looks into them, and multiplies no matrices.
            stage.method.measure(session)
        measuring_flops += meter.lap() * examples.loss.n // session.n_examples
        effective = None
        if examples.probes is not None:
            columns = totals(audit(dry.vlm, examples.probes, compute))
            effective = int(columns["effective_parameters"])
            measuring_flops += meter.lap()
        steps = Steps(stage, dry, meter, compute, seed)
        training_flops = steps.count(examples.loss) if trained else 0
    return StagePrice(
        label=stage.label,
        trained=sum(parameter.numel() for parameter in trained),
        effective=effective,
        n_examples=examples.loss.n,
        n_steps=_n_steps(stage, examples.loss) if trained else 0,
        importance_flops=importance.flops,
        importance_bytes=importance.peak_bytes,
        ranked=tuple(sorted(gradients)),
        measuring_flops=measuring_flops,
        training_flops=training_flops,
        weight_bytes=tensor_bytes([*dry.vlm.parameters(), *dry.vlm.buffers()]),
        gradient_bytes=tensor_bytes(trained),
        optimizer_bytes=steps.optimizer_bytes,
        peak_bytes=meter.peak_bytes,
    )


@dataclass(frozen=True)
class _Importance:
    gradients: Mapping[str, Tensor]
    flops: int
    peak_bytes: int


def _importance(
    stage: Stage, dry: DryModel, loss: Loss, compute: Compute, seed: int
) -> _Importance:
    """Rank by the longest batch and, where lengths differ, by some others that stand for all."""
    parameters = stage.method.importance_parameters(dry.vlm)
    if not parameters:
        return _Importance({}, 0, 0)
    train, gradients = stage.train, {}
    recomputed = recomputing(dry.vlm, train.gradient_checkpointing)
    with dry.metered() as meter, recomputed:
        for rows in chosen_batches(loss, train.batch_size, seed):
            part = Part(loss, rows)
            gradients = mean_gradients_of(parameters, dry.vlm, part, train, compute, seed)
            per_example = meter.lap() / len(rows)
    n = min(loss.n, train.importance_examples or loss.n)
    return _Importance(gradients, int(per_example * n), meter.peak_bytes)


def attached(method: Method, skeleton: VisionLanguageModel, seed: int) -> DryModel:
    """Attach a method to a copy of a model without weights.

    Raises:
        NotImplementedError: If the method looks into weights.
    """
    vlm = without_content(skeleton)
    try:
        with torch.device("meta"), torch.random.fork_rng(devices=[]):
            method.make_trainable(vlm, Session.without_data(seed))
    except RuntimeError as error:
        if not needs_content(error):
            raise
        raise NotImplementedError(
            f"what {type(method).__name__} costs is not known without weights: {first_line(error)}"
        ) from error
    return DryModel(vlm)


def _session(
    stage: Stage,
    loss: Loss,
    vlm: VisionLanguageModel,
    gradients: Mapping[str, Tensor],
    compute: Compute,
    seed: int,
) -> Session:
    def autocast_loss(indices: Tensor) -> Tensor:
        with compute.autocast():
            return loss(vlm, indices)

    n = min(loss.n, _MEASURED_EXAMPLES)
    return Session(autocast_loss, n, _n_steps(stage, loss), gradients, seed)


def _n_steps(stage: Stage, loss: Loss) -> int:
    return stage.train.epochs * steps_per_epoch(loss.n, stage.train)
