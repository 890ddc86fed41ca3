"""From the operations of a few batches to those of all: they are linear in what a batch is made of."""

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from ablate.training.losses import Loss

Step = Sequence[Tensor]
"""The batches of one optimiser step, each int64 positions among the examples."""

# What is left of a step's makings, relative to the largest of each kind, when those that are made stand for it.
_EXPLAINED = 0.02


def makings(loss: Loss, steps: Iterable[Step]) -> Tensor:
    """Say what steps are made of, which their operations are linear in.

    That is: steps, batches, tokens with their padding, pairs of tokens in attention, images, answers to predict; and
    the same once more for batches without an image, behind which there may be nothing to train.

    Args:
        loss: Over the examples.
        steps: The steps.

    Returns:
        float64 `[steps, kinds]`.
    """
    lengths = loss.lengths
    rows = []
    for batches in steps:
        row = torch.zeros(2, 6, dtype=torch.float64)
        row[0, 0] = 1
        for batch in batches:
            n, n_images = len(batch), loss.n_images(batch)
            length = int(lengths[batch].max())
            made_of = [0, 1, n * length, n * length**2, n_images, loss.n_terms(batch)]
            row[int(not n_images)] += torch.tensor(made_of, dtype=torch.float64)
        rows.append(row.flatten())
    return torch.stack(rows)


def chosen(made_of: Tensor) -> list[int]:
    """Choose steps that all others are combinations of; the one of most tokens comes first.

    Args:
        made_of: `makings` of the steps.
    """
    left = made_of / made_of.amax(0).clamp(min=1)
    tokens = made_of[:, 2] + made_of[:, 8]
    found = [int((tokens + made_of[:, 4] / (1 + made_of[:, 4].max())).argmax())]
    while True:
        direction = left[found[-1]] / left[found[-1]].norm()
        left = left - torch.outer(left @ direction, direction)
        sizes = left.norm(dim=1)
        if sizes.max() <= _EXPLAINED:
            return found
        found.append(int(sizes.argmax()))


def of_all(made_of: Tensor, some: Tensor, flops: Sequence[float]) -> int:
    """Return the operations of all steps.

    Args:
        made_of: `makings` of all steps.
        some: Those of the steps that were counted.
        flops: Operations of each of these.
    """
    scale = torch.maximum(made_of.amax(0), some.amax(0)).clamp(min=1)
    counted = torch.tensor(flops, dtype=torch.float64)[:, None]
    of_each = torch.linalg.lstsq(some / scale, counted, driver="gelsd").solution
    return round(float((made_of / scale @ of_each).sum()))


def count(loss: Loss, steps: Sequence[Step], counted: Callable[[Step], float]) -> int:
    """Return the operations of some steps, a few of which are counted, the one of most tokens first.

    Args:
        loss: Over the examples.
        steps: The steps.
        counted: Makes a step and returns its operations.
    """
    made_of = makings(loss, steps)
    places = chosen(made_of)
    return of_all(made_of, made_of[places], [counted(steps[place]) for place in places])
