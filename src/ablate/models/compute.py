"""Where a run computes and in which precision, by torch's own autocast."""

from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch

from ablate.config.errors import ConfigError
from ablate.config.schema import Precision

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Compute:
    """A device and a precision.

    Attributes:
        device: Where weights and activations are.
        precision: `fp32`, or the type that autocast computes in; what is trained stays in float32.
    """

    device: torch.device
    precision: Precision

    @property
    def scales_gradients(self) -> bool:
        """Whether gradients are scaled against underflow: in float16 only."""
        return self.precision == "fp16"

    @property
    def is_wide_on_gpu(self) -> bool:
        """Whether a GPU holds float32, where half of it would do."""
        return self.precision == "fp32" and self.device.type == "cuda"

    @property
    def frozen_dtype(self) -> torch.dtype:
        """Type that the frozen weights are loaded in."""
        return _DTYPES.get(self.precision, torch.float32)

    def autocast(self) -> AbstractContextManager[None]:
        """Return the autocast context of one forward pass."""
        dtype = _DTYPES.get(self.precision)
        context: AbstractContextManager[None] = torch.autocast(
            self.device.type, dtype=dtype or torch.bfloat16, enabled=dtype is not None
        )
        return context


def choose_compute(device: str, precision: Precision) -> Compute:
    """Resolve `auto` and check that what was requested is available.

    On a GPU it turns torch's TF32 convolutions off, which are on by default: `fp32` means float32.

    Args:
        device: `auto`, or a torch device such as `cuda:1`.
        precision: `auto`, or a fixed precision; `auto` is fp32 on a CPU, else bf16 where the GPU
        has it, else fp16.

    Raises:
        ConfigError: If the device does not exist here.
    """
    chosen = _existing_device(device)
    if chosen.type == "cuda":
        torch.backends.cudnn.allow_tf32 = False
    if precision == "auto":
        if chosen.type != "cuda":
            precision = "fp32"
        else:
            precision = (
                "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
            )
    return Compute(chosen, precision)


def _existing_device(device: str) -> torch.device:
    available = ["cpu"]
    available += [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        available.append("mps")
    if device == "auto":
        return torch.device(available[1] if len(available) > 1 else "cpu")
    name = "cuda:0" if device == "cuda" else device
    if name not in available:
        raise ConfigError(
            f"device is '{device}'; allowed on this machine: auto, {', '.join(available)}. "
            f"Fix: device=auto."
        )
    return torch.device(name)
