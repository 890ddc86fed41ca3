"""Learning rates over the steps of a run."""

import math

from ablate.config.schema import TrainConfig


def learning_rate(step: int, steps_per_epoch: int, config: TrainConfig) -> float:
    """Return the learning rate of an optimiser step.

    `cosine`: linear warm-up over `warmup_fraction` of all steps, then a cosine down to the minimum.
    `constant`: the same warm-up, then flat. `reference`: what the LoRSU authors' code does
    (aresPanos/LoRSU, commit 6b30bce): a cosine over all steps that is advanced only once an epoch,
    so the first epoch runs at the minimum and the rest near the peak.

    Args:
        step: Step, counted from 0.
        steps_per_epoch: Optimiser steps in an epoch.
        config: The recipe.
    """
    total_steps = config.epochs * steps_per_epoch
    peak, minimum = config.learning_rate, min(config.minimum_learning_rate, config.learning_rate)
    if config.schedule == "reference":
        epoch = step // steps_per_epoch
        return minimum if epoch == 0 else _cosine(epoch / total_steps, peak, minimum)
    warmup_steps = round(config.warmup_fraction * total_steps)
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    if config.schedule == "constant":
        return peak
    return _cosine((step - warmup_steps) / max(1, total_steps - warmup_steps), peak, minimum)


def _cosine(progress: float, peak: float, minimum: float) -> float:
    """Fall from `peak` at progress 0 to `minimum` at progress 1."""
    return minimum + (peak - minimum) * (1 + math.cos(math.pi * progress)) / 2
