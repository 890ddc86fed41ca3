"""The steps of a stage, some of which are made: they stand for all."""

from dataclasses import replace

from torch import Tensor

from ablate.models.compute import Compute
from ablate.pricing.batches import Step, count
from ablate.pricing.dry import DryModel, tensor_bytes
from ablate.pricing.meter import Meter
from ablate.training.losses import Loss
from ablate.training.memory import recomputing
from ablate.training.stage import Stage
from ablate.training.trainer import Trainer, steps_of

# More than are ever made: the kinds of things that a step is made of, and one.
_MOST_STEPS = 13


class Steps:
    """The steps of a stage.

    Attributes:
        optimizer_bytes: What the optimiser remembers.
    """

    optimizer_bytes = 0

    def __init__(
        self, stage: Stage, dry: DryModel, meter: Meter, compute: Compute, seed: int
    ) -> None:
        """Make steps of `stage` on `dry`, its method attached, and count them by `meter`."""
        self._stage, self._dry, self._meter = stage, dry, meter
        self._compute, self._seed = compute, seed

    def count(self, loss: Loss) -> int:
        """Return the operations of all steps; the one of most tokens is made twice, for its memory.

        The optimiser's moments are there from the second step on.
        """
        vlm, train = self._dry.vlm, self._stage.train
        # The last step, which looks into what was trained, is not among those that are made.
        longer = replace(train, epochs=train.epochs + _MOST_STEPS)
        trainer = Trainer(vlm, self._stage.method, loss, longer, self._compute, self._seed)

        def counted(step: Step) -> int:
            if not trainer.step:
                trainer.make_step(list(step))
                self._meter.lap()
            trainer.make_step(list(step))
            return self._meter.lap()

        vlm.train()
        with recomputing(vlm, train.gradient_checkpointing):
            flops = count(loss, list(steps_of(loss.n, train, self._seed)), counted)
        vlm.eval()
        states = trainer.state_dict()["moments"].values()
        moments = [value for state in states for value in state.values()]
        self.optimizer_bytes = tensor_bytes(m for m in moments if isinstance(m, Tensor))
        return flops
