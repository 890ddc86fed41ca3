"""What a stage does about memory: fewer examples in a pass, activations computed twice, or words that help."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ablate.config.schema import TrainConfig
from ablate.models.compute import Compute
from ablate.models.vlm import VisionLanguageModel
from ablate.telemetry.memory import DoesNotFitError, does_not_fit, is_out_of_memory

log = logging.getLogger(__name__)


def halved(
    micro_batch: int, said: str, model: nn.Module, config: TrainConfig, compute: Compute
) -> int:
    """Return half as many examples: the update is that of the recipe's batch, in more passes.

    Args:
        micro_batch: What did not fit.
        said: The allocator's words.
        model: In training mode.
        config: The recipe.
        compute: Device and precision.

    Raises:
        DoesNotFitError: If it was one example, or the update would be another: statistics of trained batch
            normalisation are those of a pass.
    """
    normalised = any(isinstance(m, _BatchNorm) and m.training for m in model.modules())
    if micro_batch > 1 and not normalised:
        size = micro_batch // 2
        log.warning(
            "out of memory with %d examples in a pass: %d now (%s)", micro_batch, size, said
        )
        return size
    if normalised and micro_batch > 1:
        # Fewer at a time would have other statistics.
        what = f"a batch of {micro_batch} examples under trained batch normalisation"
        smaller = [f"train.batch_size={micro_batch // 2}"]
    else:
        what, smaller = "one training example", []
    raise does_not_fit(what, said, compute.device, [*smaller, *_remedies(config, compute)])


@contextmanager
def explained(what: str, config: TrainConfig, compute: Compute) -> Iterator[None]:
    """Say what would help where memory does not suffice for what is not done in passes.

    Raises:
        DoesNotFitError: In the place of an allocator's error.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, DoesNotFitError) or not is_out_of_memory(error):
            raise
        raise does_not_fit(what, str(error), compute.device, _remedies(config, compute)) from error


@contextmanager
def recomputing(vlm: VisionLanguageModel, wanted: bool) -> Iterator[None]:
    """Recompute activations in the backward pass, where wanted."""
    if not wanted:
        yield
        return
    with _earlier_names():
        vlm.llava.gradient_checkpointing_enable({"use_reentrant": False})
    try:
        yield
    finally:
        with _earlier_names():
            vlm.llava.gradient_checkpointing_disable()


@contextmanager
def _earlier_names() -> Iterator[None]:
    """Keep transformers 5 from warning of names that it has others for from some version on."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*gradient_checkpointing_.*deprecated")
        yield


def _remedies(config: TrainConfig, compute: Compute) -> list[str]:
    found = [] if config.gradient_checkpointing else ["train.gradient_checkpointing=true"]
    if compute.is_wide_on_gpu:
        found.append("precision=bf16")
    return [
        *found,
        "a lower method.rank or another method that trains less",
        "a smaller or quantised model",
        "an encoder of smaller images",
    ]
