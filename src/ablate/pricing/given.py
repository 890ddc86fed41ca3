"""What stages have in common that differ in nothing but the method: examples, and gradients to rank weights by."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from ablate.methods.base import Method
from ablate.models.compute import Compute
from ablate.models.skeleton import without_content
from ablate.models.vlm import VisionLanguageModel
from ablate.pricing.batches import Step, count, makings
from ablate.pricing.dry import DryModel
from ablate.pricing.meter import Meter
from ablate.pricing.part import Part
from ablate.training.audit import reached
from ablate.training.importance import importance_batches, mean_gradients_of
from ablate.training.memory import recomputing
from ablate.training.stage import Stage


@dataclass(frozen=True)
class Importance:
    """A pass that ranks weights by their gradient.

    Attributes:
        gradients: By name; none where nothing is ranked so.
        flops: Operations.
        peak_bytes: The most that is held at once, weights included.
    """

    gradients: Mapping[str, Tensor]
    flops: int
    peak_bytes: int


@dataclass(frozen=True)
class Audit:
    """What the audit of a stage finds and takes.

    Attributes:
        reached: Names of the trained parameters that an answer depends on.
        flops: Operations.
        n_bytes: The most that it holds beside the model.
    """

    reached: frozenset[str]
    flops: int
    n_bytes: int


class Given:
    """What a stage's method is given.

    Attributes:
        examples: Read by a model without weights.
        reading_flops: Operations of that: texts are embedded.
    """

    def __init__(
        self, stage: Stage, skeleton: VisionLanguageModel, compute: Compute, seed: int
    ) -> None:
        """Read the examples of a stage.

        Args:
            stage: The stage; its data without images. Its method is left alone.
            skeleton: As `price_stage` takes it.
            compute: As `price_stage` takes it.
            seed: The run's seed.
        """
        self._dry, self._train = DryModel(without_content(skeleton)), stage.train
        self._compute, self._seed = compute, seed
        self._known: dict[tuple[str, ...], Importance] = {}
        self._audits: dict[tuple[str, ...], Audit] = {}
        with self._dry.metered() as meter:
            self.examples = stage.examples(self._dry.vlm)
        self.reading_flops = meter.flops

    @cached_property
    def made_of(self) -> Tensor:
        """`makings` of every example by itself, `[n, kinds]`."""
        loss = self.examples.loss
        return makings(loss, ((one,) for one in torch.arange(loss.n).split(1)))

    def importance(self, method: Method) -> Importance:
        """Rank the weights that a method wants ranked, by a few batches that stand for all."""
        parameters = method.importance_parameters(self._dry.vlm)
        names = tuple(sorted(parameters))
        if not names:
            return Importance({}, 0, 0)
        if names not in self._known:
            self._known[names] = self._ranked(parameters)
        return self._known[names]

    def audit(self, vlm: VisionLanguageModel, meter: Meter) -> Audit | None:
        """Audit what is trained, once for all methods that train parameters of the same names, of whatever rank.

        Args:
            vlm: A dry model, its method attached.
            meter: Counts what that takes.

        Returns:
            None for a stage that only prepares another.
        """
        probes = self.examples.probes
        if probes is None:
            return None
        names = tuple(name for name, p in vlm.named_parameters() if p.requires_grad)
        if names in self._audits:
            meter.rise_again(self._audits[names].n_bytes)
            return self._audits[names]
        found: dict[str, tuple[bool, bool | None]] = {}
        meter.lap()
        n_bytes = meter.rise(lambda: found.update(reached(vlm, probes, self._compute)))
        by_answer = frozenset(name for name, (answer, _) in found.items() if answer)
        self._audits[names] = Audit(by_answer, meter.lap(), n_bytes)
        return self._audits[names]

    def _ranked(self, parameters: Mapping[str, nn.Parameter]) -> Importance:
        vlm, train, loss = self._dry.vlm, self._train, self.examples.loss
        gradients: Mapping[str, Tensor] = {}
        with self._dry.metered() as meter, recomputing(vlm, train.gradient_checkpointing):

            def counted(step: Step) -> int:
                nonlocal gradients
                (batch,) = step
                part = Part(loss, batch)
                gradients = mean_gradients_of(
                    parameters, vlm, part, train, self._compute, self._seed
                )
                return meter.lap()

            batches = importance_batches(loss, train, self._seed)
            flops = count(loss, [(batch,) for batch in batches], counted)
        return Importance(gradients, flops, meter.peak_bytes)
