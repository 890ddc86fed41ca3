"""Run a model for its outputs alone, and leave it as it was found."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def inference(model: nn.Module) -> Iterator[None]:
    """Switch to evaluation mode without gradients; give every module its own mode back."""
    were_training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        # Not model.train(): a frozen part may be in evaluation mode while the rest trains.
        for module in were_training:
            module.training = True
