"""The signed mean gradient that heads and entries are selected by."""

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

from ablate.config.errors import ConfigError
from ablate.methods.lorsu.architecture import find_tower
from ablate.methods.lorsu.config import LorsuConfig

Batch = TypeVar("Batch")


def importance_parameters(model: nn.Module, config: LorsuConfig) -> dict[str, nn.Parameter]:
    """Name the weights whose gradients select: q, k, v and fc1 of every adapted block.

    They depend on `tower`, `blocks` and `blocks_from` alone, so the gradients serve every rank,
    head count and sparsity.

    Args:
        model: The network before `get_peft_model`.
        config: Which blocks of it are adapted.

    Returns:
        Path in `model`, such as `encoder.layers.0.mlp.fc1.weight`, to the parameter.
    """
    blocks = find_tower(model, config).blocks
    return {
        f"{path}.weight": model.get_parameter(f"{path}.weight")
        for block in blocks
        for path in (*block.qkv, block.fc1)
    }


def mean_gradients(
    parameters: Mapping[str, nn.Parameter],
    batches: Iterable[Batch],
    loss_fn: Callable[[Batch], tuple[Tensor, int]],
) -> dict[str, Tensor]:
    """Average gradients over a training set: (1 / N) * sum over batches of size * gradient.

    Every sample counts the same, whatever its number of answer tokens: that is the paper's rule, and
    not the weighting by tokens of an optimiser step of several batches.
    The sign is kept; absolute values and squares are taken of the mean (arXiv 2502.04098, section
    3). Only the wanted weights' gradients are computed. The caller puts the model into train mode.

    Args:
        parameters: The wanted weights by name; they need not require gradients otherwise.
        batches: The training set, once.
        loss_fn: Maps a batch to its mean loss and its number of samples.

    Returns:
        For every name the mean gradient in the weight's shape and at least float32; zero where no
        loss reaches.

    Raises:
        ConfigError: If there is no sample.
    """
    weights = list(parameters.values())
    required = [weight.requires_grad for weight in weights]
    totals = [
        torch.zeros_like(weight, dtype=torch.promote_types(weight.dtype, torch.float32))
        for weight in weights
    ]
    n_samples = 0
    try:
        for weight in weights:
            weight.requires_grad_(True)
        for batch in batches:
            loss, size = loss_fn(batch)
            gradients = torch.autograd.grad(loss, weights, materialize_grads=True)
            for total, gradient in zip(totals, gradients, strict=True):
                total.add_(gradient, alpha=size)
            n_samples += size
    finally:
        for weight, requires_grad in zip(weights, required, strict=True):
            weight.requires_grad_(requires_grad)
    if not n_samples:
        raise ConfigError("The importance set is empty. Give at least one batch with one sample.")
    return {name: total / n_samples for name, total in zip(parameters, totals, strict=True)}
