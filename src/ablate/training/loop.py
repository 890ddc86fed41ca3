"""The training loop: it knows no method and no loss by name."""

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from ablate.config.schema import TrainConfig
from ablate.methods.base import Method
from ablate.methods.targets import part_of
from ablate.models.compute import Compute
from ablate.training.losses import Loss
from ablate.training.schedule import learning_rate


class NonFiniteLossError(ArithmeticError):
    """The loss became NaN or infinite; the run's numbers would mean nothing."""


def train(
    model: nn.Module,
    method: Method,
    loss: Loss,
    config: TrainConfig,
    compute: Compute,
    seed: int,
    on_step: Callable[[float], None],
) -> None:
    """Train every parameter that requires a gradient.

    Args:
        model: Holds the parameters.
        method: Brings its penalty, its learning-rate scale and its hook after each step.
        loss: The loss over the training set.
        config: The recipe.
        compute: Device and precision.
        seed: Seed of the batch order.
        on_step: Called with the loss after every optimiser step.

    Raises:
        NonFiniteLossError: If the loss is not finite.
    """
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not trained:
        return
    optimizer = build_optimizer(model, method, config)
    scaler = torch.amp.GradScaler(compute.device.type, enabled=compute.scales_gradients)
    per_epoch = steps_per_epoch(loss.n, config)
    torch.manual_seed(seed)
    model.train()
    for step, batches in enumerate(_steps(loss.n, config, seed)):
        for group in optimizer.param_groups:
            group["lr"] = group["scale"] * learning_rate(step, per_epoch, config, loss.name)
        value = _accumulate(method, loss, batches, compute, scaler)
        if not math.isfinite(value):
            raise NonFiniteLossError(f"the loss is {value} at step {step}")
        if config.max_gradient_norm is not None:
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(trained, config.max_gradient_norm)
        scaler.step(optimizer)
        scaler.update()
        method.after_step(step)
        optimizer.zero_grad(set_to_none=True)
        on_step(value)
    if not all(bool(parameter.isfinite().all()) for parameter in trained):
        raise NonFiniteLossError("a trained parameter is not finite after the last step")
    model.eval()


def steps_per_epoch(n: int, config: TrainConfig) -> int:
    """Count the optimiser steps of one pass over `n` training examples."""
    return math.ceil(math.ceil(n / config.batch_size) / config.accumulation_steps)


def build_optimizer(model: nn.Module, method: Method, config: TrainConfig) -> torch.optim.Optimizer:
    """Build Adam or AdamW over the parameters that require a gradient; biases and norms are never decayed.

    Every group has its `scale`: what the schedule's learning rate is multiplied with.
    """
    groups: dict[tuple[bool, float], list[nn.Parameter]] = {}
    norms = {id(p) for m in model.modules() if _is_norm(m) for p in m.parameters()}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            # An adapter's own name comes last: `fc1.lorsu_bias.default`.
            is_bias = any(part.endswith("bias") for part in name.split(".")[-2:])
            is_decayed = not (is_bias or id(parameter) in norms)
            scale = method.learning_rate_scale_of(name) * _part_scale(name, config)
            groups.setdefault((is_decayed, scale), []).append(parameter)
    # Adam's own `weight_decay` would be an L2 penalty.
    weight_decay = config.weight_decay if config.optimizer == "adamw" else 0.0
    optimizer = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    return optimizer(
        [
            {"params": parameters, "weight_decay": is_decayed * weight_decay, "scale": scale}
            for (is_decayed, scale), parameters in sorted(
                groups.items(), key=lambda group: group[0], reverse=True
            )
        ],
        lr=config.learning_rate,
        betas=config.betas,
    )


def _part_scale(path: str, config: TrainConfig) -> float:
    """Return the encoder's learning rate over that of the rest, for a parameter of the encoder."""
    if config.encoder_learning_rate is None or part_of(path) != "encoder":
        return 1.0
    return config.encoder_learning_rate / config.learning_rate


def _is_norm(module: nn.Module) -> bool:
    return "Norm" in type(module).__name__


def _accumulate(
    method: Method,
    loss: Loss,
    batches: list[Tensor],
    compute: Compute,
    scaler: torch.amp.GradScaler,
) -> float:
    """Add up the gradient of one optimiser step; return its mean loss, penalty included.

    Batches are weighted by the terms of their means, so that gradient and loss are those of all of
    them in one batch (but for batch normalisation, which sees one at a time). The penalty counts once.
    """
    terms = [loss.n_terms(batch) for batch in batches]
    total = 0.0
    for number, batch in enumerate(batches):
        with compute.autocast():
            value = loss(batch) * (terms[number] / sum(terms))
            penalty = method.penalty() if number == 0 else None
        if penalty is not None:
            value = value + penalty
        scaler.scale(value).backward()
        total += float(value.detach())
    return total


def _steps(n: int, config: TrainConfig, seed: int) -> Iterator[list[Tensor]]:
    """Yield the batches of every optimiser step: each epoch in an order of its own."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(config.epochs):
        batches = list(torch.randperm(n, generator=generator).split(config.batch_size))
        for start in range(0, len(batches), config.accumulation_steps):
            yield batches[start : start + config.accumulation_steps]
