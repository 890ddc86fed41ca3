"""What one stage of training takes: importance, what the method measures, the steps."""

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from ablate.methods.base import Method, Session
from ablate.methods.peft_types import first_line, needs_content
from ablate.models.compute import Compute
from ablate.models.skeleton import without_content
from ablate.models.vlm import VisionLanguageModel
from ablate.pricing.batches import chosen, of_all
from ablate.pricing.dry import DryModel, tensor_bytes
from ablate.pricing.given import Given
from ablate.pricing.hollow import ContentNeededError
from ablate.pricing.meter import Meter
from ablate.pricing.steps import Steps
from ablate.training.losses import Loss
from ablate.training.stage import Stage
from ablate.training.trainer import steps_per_epoch


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
    stage: Stage,
    skeleton: VisionLanguageModel,
    compute: Compute,
    seed: int,
    given: Given | None = None,
) -> StagePrice:
    """Make a stage's steps without a number in them.

    Args:
        stage: The stage; its data without images. Its method is used up.
        skeleton: The model on `meta`, its parameters of the types that a run loads them in; it is left as it is.
        compute: The CPU, and the precision that is planned with.
        seed: The run's seed.
        given: What stages have in common that differ in nothing but the method; None to look.

    Raises:
        NotImplementedError: If the method looks into weights before it can be attached.
    """
    given = given or Given(stage, skeleton, compute, seed)
    examples = given.examples
    importance = given.importance(stage.method)
    gradients = importance.gradients
    dry, attach_flops = attached(stage.method, skeleton, seed)
    measuring_flops = given.reading_flops + attach_flops
    trained = [p for p in dry.vlm.parameters() if p.requires_grad]
    # A run holds the gradients that it ranked by until its stage ends.
    with dry.metered(gradients.values()) as meter:
        measuring_flops += _measured(stage, given, dry.vlm, gradients, meter, compute, seed)
        audit = given.audit(dry.vlm, meter)
        effective = None
        if audit is not None:
            effective = _scalars(dry.vlm, audit.reached)
            measuring_flops += audit.flops
        meter.lap()
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
        weight_bytes=dry.weight_bytes,
        gradient_bytes=tensor_bytes(trained),
        optimizer_bytes=steps.optimizer_bytes,
        peak_bytes=meter.peak_bytes,
    )


def attached(method: Method, skeleton: VisionLanguageModel, seed: int) -> tuple[DryModel, int]:
    """Attach a method to a copy of a model without weights, and count the operations of that.

    Raises:
        NotImplementedError: If the method looks into weights.
    """
    vlm = without_content(skeleton)
    counter = FlopCounterMode(display=False)
    try:
        with torch.device("meta"), torch.random.fork_rng(devices=[]), counter:
            method.make_trainable(vlm, Session.without_data(seed))
    except RuntimeError as error:
        if not needs_content(error):
            raise
        raise NotImplementedError(
            f"what {type(method).__name__} costs is not known without weights: {first_line(error)}"
        ) from error
    return DryModel(vlm), counter.get_total_flops()


def _measured(
    stage: Stage,
    given: Given,
    vlm: VisionLanguageModel,
    gradients: Mapping[str, Tensor],
    meter: Meter,
    compute: Compute,
    seed: int,
) -> int:
    """Let a method measure a few examples, which stand for all; return the operations."""
    loss, made_of = given.examples.loss, given.made_of
    rows = torch.tensor(chosen(made_of))
    asked: list[Tensor] = []
    flops: list[int] = []

    def counted_loss(indices: Tensor) -> Tensor:
        flops.append(meter.lap())
        asked.append(made_of[rows[indices]].sum(0))
        with compute.autocast():
            return loss(vlm, rows[indices])

    session = Session(counted_loss, len(rows), _n_steps(stage, loss), gradients, seed)
    with suppress(ContentNeededError):
        # Choosing by gradients looks into them, and multiplies no matrices.
        stage.method.measure(session)
    flops.append(meter.lap())
    if not asked:
        return sum(flops)
    return flops[0] + of_all(made_of, torch.stack(asked), flops[1:])


def _scalars(vlm: VisionLanguageModel, names: Collection[str]) -> int:
    return sum(p.numel() for name, p in vlm.named_parameters() if name in names)


def _n_steps(stage: Stage, loss: Loss) -> int:
    return stage.train.epochs * steps_per_epoch(loss.n, stage.train)
