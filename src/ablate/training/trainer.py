"""The training loop, as an object whose state can be saved: it is independent of method and loss."""

import math
from collections.abc import Callable, Iterator
from itertools import count, islice
from typing import Any

import torch
from torch import Tensor, nn

from ablate.config.schema import TrainConfig
from ablate.methods.base import Method
from ablate.models.compute import Compute
from ablate.telemetry.memory import is_out_of_memory, release
from ablate.training.losses import Loss
from ablate.training.memory import halved
from ablate.training.optimizer import build_optimizer
from ablate.training.schedule import learning_rate


class NonFiniteLossError(ArithmeticError):
    """The loss became NaN or infinite; the run's numbers would mean nothing."""


class Trainer:
    """Trains every parameter of a model that requires a gradient, step by step.

    Attributes:
        step: Optimiser steps made so far.
        total_steps: Optimiser steps of the whole training.
        micro_batch: Most examples of a forward pass: the recipe's batch, or as much of it as memory suffices for.
    """

    def __init__(
        self,
        model: nn.Module,
        method: Method,
        loss: Loss,
        config: TrainConfig,
        compute: Compute,
        seed: int,
    ) -> None:
        """Build the optimiser; nothing is trained yet.

        Args:
            model: Holds the parameters. Every loss is of `model(...)`, so that what wraps a model sees its passes.
            method: Brings its penalty, its learning-rate scale and its hook after each step.
            loss: The loss over the training set.
            config: The recipe.
            compute: Device and precision.
            seed: Seed of the batch order, and of torch's generators.
        """
        self._model, self._method, self._loss = model, method, loss
        self._config, self._compute, self._seed = config, compute, seed
        self._trained = [p for p in model.parameters() if p.requires_grad]
        self.step = 0
        self.micro_batch = min(config.batch_size, loss.n)
        self._steps_per_epoch = steps_per_epoch(loss.n, config)
        self.total_steps = config.epochs * self._steps_per_epoch if self._trained else 0
        self._generators: dict[str, Tensor] | None = None
        if self._trained:
            self._optimizer = build_optimizer(model, method, config)
            self._scaler = torch.amp.GradScaler(
                compute.device.type, enabled=compute.scales_gradients
            )

    @property
    def learning_rate(self) -> float:
        """The largest learning rate of the last step, over the groups of parameters."""
        return max(float(group["lr"]) for group in self._optimizer.param_groups)

    def train(self, on_step: Callable[[float], None], until: int | None = None) -> None:
        """Make the steps that are left.

        Args:
            on_step: Called with the loss after every optimiser step.
            until: Stop when so many steps have been made in all; None for all of them.

        Raises:
            NonFiniteLossError: If the loss, or a trained parameter after the last step, is not finite.
            DoesNotFitError: If one example does not fit into memory, or batch normalisation has to see several.
        """
        last = self.total_steps if until is None else min(until, self.total_steps)
        if self.step >= last:
            return
        self._set_generators()
        self._model.train()
        steps = steps_of(self._loss.n, self._config, self._seed)
        for batches in islice(steps, self.step, last):
            value = self.make_step(batches)
            self._generators = self._get_generators()
            on_step(value)
        self._model.eval()

    def state_dict(self) -> dict[str, Any]:
        """Return what, with the trained parameters, the next step depends on: the place, the optimiser, the generators.

        Python's and NumPy's generators are not in it, for nothing here draws from them; nor is a method's own state,
        such as AdaLoRA's averages. After the last step nothing depends on the optimiser any more.
        """
        is_left = self.step < self.total_steps
        moments = self._optimizer.state_dict()["state"] if is_left else {}
        return {
            "step": self.step,
            "micro_batch": self.micro_batch,
            "moments": {str(index): state for index, state in moments.items()},
            "scaler": self._scaler.state_dict() if is_left else {},
            "generators": self._generators,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was taken: the next steps are those it would have made, bit for bit on a CPU.

        Args:
            state: Of a trainer of the same model, loss, recipe and seed.
        """
        self.step, self.micro_batch = state["step"], state["micro_batch"]
        self._generators = state["generators"]
        if self.step < self.total_steps:
            moments = {int(index): state for index, state in state["moments"].items()}
            groups = self._optimizer.state_dict()["param_groups"]
            self._optimizer.load_state_dict({"state": moments, "param_groups": groups})
            self._scaler.load_state_dict(state["scaler"])

    def make_step(self, batches: list[Tensor]) -> float:
        """Update the parameters by the gradient of some batches; return their mean loss, penalty included."""
        config, optimizer = self._config, self._optimizer
        for group in optimizer.param_groups:
            rate = learning_rate(self.step, self._steps_per_epoch, config, self._loss.name)
            group["lr"] = group["scale"] * rate
        value = self._accumulate_in_memory(batches)
        if not math.isfinite(value):
            raise NonFiniteLossError(f"the loss is {value} at step {self.step}")
        if config.max_gradient_norm is not None:
            self._scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(self._trained, config.max_gradient_norm)
        self._scaler.step(optimizer)
        self._scaler.update()
        self._method.after_step(self.step)
        optimizer.zero_grad(set_to_none=True)
        self.step += 1
        if self.step == self.total_steps and not all(
            bool(parameter.isfinite().all()) for parameter in self._trained
        ):
            raise NonFiniteLossError("a trained parameter is not finite after the last step")
        return value

    def _accumulate_in_memory(self, batches: list[Tensor]) -> float:
        """Accumulate; where memory does not suffice, again from the state before, in passes half as large."""
        while True:
            try:
                return self._accumulate(batches)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                said = str(error)
            # Outside the block above: the error holds on to the activations.
            self._optimizer.zero_grad(set_to_none=True)
            release(self._compute.device)
            self.micro_batch = halved(
                self.micro_batch, said, self._model, self._config, self._compute
            )
            self._set_generators()

    def _accumulate(self, batches: list[Tensor]) -> float:
        """Add up the gradient of one optimiser step; return its mean loss, penalty included.

        Batches are weighted by the terms of their means, so that gradient and loss are those of all of
        them in one batch (but for batch normalisation, which sees one at a time). The penalty counts once.
        """
        terms = [self._loss.n_terms(batch) for batch in batches]
        penalty: Tensor | None = None
        total = 0.0
        for number, batch in enumerate(batches):
            parts = self._loss.parts(self._model, batch, self.micro_batch)
            for place in count():
                with self._compute.autocast():
                    value = next(parts, None)
                    if value is None:
                        break
                    value = value * (terms[number] / sum(terms))
                    is_first = number == place == 0
                    penalty = self._method.penalty() if is_first else None
                if penalty is not None:
                    value = value + penalty
                self._scaler.scale(value).backward()
                total += float(value.detach())
        return total

    def _set_generators(self) -> None:
        """Put torch's generators, which dropout draws from, where the last step left them."""
        if self._generators is None:
            torch.manual_seed(self._seed)
            return
        torch.set_rng_state(self._generators["cpu"])
        if self._compute.device.type == "cuda":
            torch.cuda.set_rng_state(self._generators["cuda"], self._compute.device)

    def _get_generators(self) -> dict[str, Tensor]:
        states = {"cpu": torch.get_rng_state()}
        if self._compute.device.type == "cuda":
            states["cuda"] = torch.cuda.get_rng_state(self._compute.device)
        return states


def steps_of(n: int, config: TrainConfig, seed: int) -> Iterator[list[Tensor]]:
    """Yield the batches of every optimiser step on `n` training examples: each epoch in an order of its own."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(config.epochs):
        order = torch.randperm(n, generator=generator)
        batches = order.split(config.batch_size)[: n_batches(n, config)]
        for start in range(0, len(batches), config.accumulation_steps):
            yield list(batches[start : start + config.accumulation_steps])


def steps_per_epoch(n: int, config: TrainConfig) -> int:
    """Count the optimiser steps of one pass over `n` training examples."""
    return math.ceil(n_batches(n, config) / config.accumulation_steps)


def n_batches(n: int, config: TrainConfig) -> int:
    """Count the batches of one pass over `n` training examples."""
    if config.drop_last and n > config.batch_size:
        return n // config.batch_size
    return math.ceil(n / config.batch_size)
