"""The steps of a stage, some of which are made: they stand for all."""

import gc
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from ablate.models.compute import Compute
from ablate.pricing.dry import DryModel, tensor_bytes
from ablate.pricing.meter import Meter
from ablate.pricing.part import Part
from ablate.training.losses import Loss
from ablate.training.memory import recomputing
from ablate.training.stage import Stage
from ablate.training.trainer import Trainer, n_batches, steps_per_epoch

# Where lengths differ, so many steps beside the longest.
_SAMPLED = 3


def chosen_batches(loss: Loss, size: int, seed: int) -> Iterator[Tensor]:
    """Yield the longest examples and, where lengths differ, others drawn at random: those stand for all.

    Args:
        loss: Over all examples.
        size: Examples of a batch.
        seed: Seed of the draw.
    """
    yield loss.lengths.argsort(descending=True, stable=True)[:size]
    if int(loss.lengths.min()) < int(loss.lengths.max()):
        generator = torch.Generator().manual_seed(seed)
        yield torch.randperm(loss.n, generator=generator)[: _SAMPLED * size]


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
        """Return the operations of all steps; the longest one is made first, for its memory.

        It is made twice: the optimiser's moments are there from the second step on.
        """
        train = self._stage.train
        per_example, epochs = 0.0, 2
        for rows in chosen_batches(loss, train.batch_size * train.accumulation_steps, self._seed):
            part = Part(loss, rows)
            per_example = self._made(part, epochs) / (epochs * self._used(part))
            epochs = 1
        return int(per_example * train.epochs * self._used(loss))

    def _used(self, loss: Loss) -> int:
        """Count the examples that an epoch sees."""
        train = self._stage.train
        return min(n_batches(loss.n, train) * train.batch_size, loss.n)

    def _made(self, loss: Loss, epochs: int) -> int:
        """Make the steps of some epochs, not the last one, and return their operations."""
        vlm, train = self._dry.vlm, replace(self._stage.train, epochs=epochs + 1)
        with recomputing(vlm, train.gradient_checkpointing):
            trainer = Trainer(vlm, self._stage.method, loss, train, self._compute, self._seed)
            trainer.train(lambda _: None, until=epochs * steps_per_epoch(loss.n, train))
        states = trainer.state_dict()["moments"].values()
        moments = [value for state in states for value in state.values()]
        self.optimizer_bytes = tensor_bytes(m for m in moments if isinstance(m, Tensor))
        del trainer, states, moments
        # The next trainer's moments do not stand beside these.
        gc.collect()
        return self._meter.lap()
