"""Learning rates over the steps of a run."""

import math

from ablate.config.schema import LossName, TrainConfig


def learning_rate(step: int, steps_per_epoch: int, config: TrainConfig, loss: LossName) -> float:
    """Return the learning rate of an optimiser step.

    `cosine`: linear warm-up over `warmup_fraction` of all steps, then a cosine down to the minimum.
    `constant`: the same warm-up, then flat. `reference`: what the LoRSU authors' code does, which is
    another schedule for each loss; see `_reference`.

    Args:
        step: Step, counted from 0.
        steps_per_epoch: Optimiser steps in an epoch.
        config: The recipe.
        loss: What is trained on; matters to `reference` alone.
    """
    total_steps = config.epochs * steps_per_epoch
    peak, minimum = config.learning_rate, min(config.minimum_learning_rate, config.learning_rate)
    if config.schedule == "reference":
        return _reference(step, steps_per_epoch, total_steps, peak, minimum, loss)
    warmup_steps = round(config.warmup_fraction * total_steps)
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    if config.schedule == "constant":
        return peak
    return _cosine((step - warmup_steps) / max(1, total_steps - warmup_steps), peak, minimum)


def _reference(
    step: int, steps_per_epoch: int, total_steps: int, peak: float, minimum: float, loss: LossName
) -> float:
    """Return the learning rate of the authors' code (aresPanos/LoRSU, commit 6b30bce).

    `clip`: a cosine over all steps but the first that is advanced only once an epoch. The first epoch
    runs at the minimum, the second at the peak, and where epochs have many steps all later ones near it.
    `lm`: a linear warm-up from the minimum over the first epoch, then a cosine that has counted the
    steps of the warm-up too: of 5 epochs the second begins at (1 + cos(pi / 5)) / 2 = 0.905 of the way
    from the minimum to the peak.
    """
    epoch = step // steps_per_epoch
    if loss == "clip":
        return minimum if epoch == 0 else _cosine((epoch - 1) / (total_steps - 1), peak, minimum)
    if epoch == 0:
        return minimum + (peak - minimum) * step / steps_per_epoch
    return _cosine(step / total_steps, peak, minimum)


def _cosine(progress: float, peak: float, minimum: float) -> float:
    """Fall from `peak` at progress 0 to `minimum` at progress 1."""
    return minimum + (peak - minimum) * (1 + math.cos(math.pi * progress)) / 2
