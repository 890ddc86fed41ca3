"""What is planned for: a device of the table by its name, or the one that is here."""

import os
from dataclasses import dataclass
from functools import lru_cache

import torch
import yaml
from pydantic import TypeAdapter
from pydantic.dataclasses import dataclass as checked_dataclass

from ablate.config.errors import unknown
from ablate.config.folder import config_folder
from ablate.config.schema import Precision
from ablate.config.schema.fields import CLOSED
from ablate.models.compute import Compute, choose_compute

# What the driver, the libraries and the allocator's gaps take beside the tensors.
_RESERVED_BYTES, _RESERVED_SHARE = 1_000_000_000, 0.05


@checked_dataclass(frozen=True, config=CLOSED)
class Accelerator:
    """What a kind of device can do at most.

    Attributes:
        reported: Parts of the names that torch has for it.
        bf16: Operations a second in bfloat16; None where it has none.
        fp16: In float16.
        fp32: In float32.
        memory_bytes: Its memory.
        bytes_per_second: What it reads from its memory.
    """

    reported: tuple[str, ...]
    bf16: float | None
    fp16: float
    fp32: float
    memory_bytes: float
    bytes_per_second: float


@dataclass(frozen=True)
class Device:
    """Where runs would be made.

    Attributes:
        name: Its name in the table or, where it is not there, what torch calls it.
        compute: Device and precision.
        memory_bytes: Its memory; of a CPU, the machine's.
        accelerator: What it can do at most; None where that is not known.
    """

    name: str
    compute: Compute
    memory_bytes: int
    accelerator: Accelerator | None

    @property
    def usable_bytes(self) -> int:
        """What tensors may take of its memory."""
        if self.compute.device.type == "cpu":
            return self.memory_bytes
        return int(self.memory_bytes * (1 - _RESERVED_SHARE)) - _RESERVED_BYTES

    @property
    def flops_per_second(self) -> float | None:
        """The most operations a second in its precision."""
        peak = self.accelerator
        return None if peak is None else getattr(peak, self.compute.precision)


@lru_cache
def accelerators() -> dict[str, Accelerator]:
    """Read the table of devices, by name."""
    text = (config_folder() / "accelerators.yaml").read_text(encoding="utf-8")
    return TypeAdapter(dict[str, Accelerator]).validate_python(yaml.safe_load(text))


def named_device(name: str, precision: Precision) -> Device:
    """Return a device of the table.

    Args:
        name: Its name there.
        precision: As a run's configuration has it; `auto` is bf16 or, without it, fp16.

    Raises:
        ConfigError: If there is no such device.
    """
    known = accelerators()
    if name not in known:
        raise unknown("device", name, known)
    found = known[name]
    if precision == "auto":
        precision = "fp16" if found.bf16 is None else "bf16"
    compute = Compute(torch.device("cuda:0"), precision)
    return Device(name, compute, int(found.memory_bytes), found)


def device_here(device: str, precision: Precision) -> Device:
    """Return the device that a run would be made on here.

    Raises:
        ConfigError: If it does not exist.
    """
    compute = choose_compute(device, precision)
    if compute.device.type != "cuda":
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return Device(compute.device.type, compute, memory, None)
    properties = torch.cuda.get_device_properties(compute.device)
    for name, accelerator in accelerators().items():
        if any(properties.name.endswith(part) for part in accelerator.reported):
            return Device(name, compute, properties.total_memory, accelerator)
    return Device(properties.name, compute, properties.total_memory, None)
