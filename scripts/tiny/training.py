"""The optimiser, schedule and loop that both stages share."""

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from tqdm import trange

from tiny.config import OptimiserConfig


def train(
    name: str,
    parameters: Iterable[nn.Parameter],
    config: OptimiserConfig,
    loss_of_step: Callable[[int], Tensor],
) -> None:
    """Minimise a loss.

    Args:
        name: What the progress bar says.
        parameters: What is trained.
        config: Steps and learning rate.
        loss_of_step: Draws the batch of a step and returns its loss.
    """
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    optimiser = torch.optim.AdamW(
        [
            {"params": [p for p in trained if p.ndim > 1], "weight_decay": config.weight_decay},
            {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
        ],
        lr=config.learning_rate,
        betas=(0.9, 0.98),
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step, config))
    mean_loss = 0.0
    progress = trange(config.steps, desc=name, mininterval=5)
    for step in progress:
        loss = loss_of_step(step)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(trained, config.max_gradient_norm)
        optimiser.step()
        schedule.step()
        mean_loss = loss.item() if step == 0 else 0.98 * mean_loss + 0.02 * loss.item()
        progress.set_postfix(loss=f"{mean_loss:.3f}", refresh=False)


def _rate(step: int, config: OptimiserConfig) -> float:
    """Return the share of the peak learning rate: linear warm-up, then cosine."""
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    done = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    return 0.5 * (1 + math.cos(math.pi * done))
