"""The one model that a process keeps between runs: loaded once, and restored after every run."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from ablate.config.schema import RunConfig
from ablate.models.assemble import assemble, start_projector
from ablate.models.compiled import compile_blocks
from ablate.models.compute import Compute
from ablate.models.loading import load_model
from ablate.models.parts import part_of
from ablate.models.vlm import VisionLanguageModel


@dataclass
class _Held:
    key: str
    vlm: VisionLanguageModel


_held: list[_Held] = []


def load_vlm(config: RunConfig, compute: Compute) -> VisionLanguageModel:
    """Load a run's base model, its own encoder replaced where the run says so.

    Raises:
        ConfigError: If its files do not hold it.
    """
    if config.encoder is None:
        vlm = load_model(config.model, compute)
    else:
        vlm = assemble(config.encoder, config.model, compute, config.seed)
    if config.model.compile:
        compile_blocks(vlm)
    return vlm


@contextmanager
def borrowed(
    config: RunConfig, compute: Compute, parts: frozenset[str]
) -> Iterator[VisionLanguageModel]:
    """Give a run its base model for the length of the block; it may be trained there.

    The next run with the same model gets it without loading anything: what was trained is copied beforehand, on the
    CPU, and put back bit for bit. A block that ends in an exception leaves adapters where they were, so its model is
    given up.

    Args:
        config: The run.
        compute: Device and precision.
        parts: What the run may change of it, as `part_of` names it.

    Yields:
        The model, frozen and in evaluation mode.

    Raises:
        ConfigError: If its files do not hold it.
    """
    key = repr((config.model, config.encoder, compute))
    held = _held.pop() if _held else None
    if held is None or held.key != key:
        held = None
        # Two models at once might not fit.
        gc.collect()
        held = _Held(key, load_vlm(config, compute))
    elif config.encoder is not None:
        start_projector(held.vlm.llava, config.seed)
    vlm = held.vlm
    before = {
        name: t.detach().cpu().clone() for name, t in _state(vlm).items() if part_of(name) in parts
    }
    names = set(_state(vlm))
    yield vlm
    after = _state(vlm)
    if set(after) != names:
        return
    with torch.no_grad():
        for name, tensor in before.items():
            after[name].copy_(tensor)
    vlm.requires_grad_(False).eval()
    _held.append(held)


def _state(vlm: VisionLanguageModel) -> dict[str, Tensor]:
    return {**dict(vlm.named_parameters()), **dict(vlm.named_buffers())}
