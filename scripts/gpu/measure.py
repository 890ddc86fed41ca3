"""Seconds, operations, and how they stand to what a device can do at most."""

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
import yaml
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

from ablate.config.folder import config_folder
from ablate.models.compute import Compute

_aten = torch.ops.aten
_GEMM_SIDE = {"cuda": 8192, "cpu": 1024}


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        section: What was measured for.
        measure: What was measured.
        value: The value; None where it could not be measured.
        unit: Its unit.
        target: What it should be, in words.
        met: Whether it is; None without a target, or without a value.
        note: What a reader has to know.
        required: Whether the check fails where it is not met; a speed is a wish.
    """

    section: str
    measure: str
    value: float | str | None
    unit: str = ""
    target: str = ""
    met: bool | None = None
    note: str = ""
    required: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)


def at_least(
    section: str,
    measure: str,
    value: float | None,
    limit: float,
    note: str = "",
    required: bool = False,
) -> Row:
    """Make a row whose value should not be below a limit."""
    met = None if value is None else value >= limit
    return Row(section, measure, value, "", f">= {limit:g}", met, note, required)


def at_most(section: str, measure: str, value: float, limit: float, note: str = "") -> Row:
    """Make a row whose value must not be above a limit."""
    return Row(section, measure, value, "", f"<= {limit:g}", value <= limit, note, required=True)


def within(section: str, measure: str, ratio: float, tolerance: float) -> Row:
    """Make a row of a ratio that must be 1, or so near."""
    is_near = abs(ratio - 1) <= tolerance
    return Row(section, measure, ratio, "", f"1 +- {tolerance:g}", is_near, required=True)


def holds(section: str, measure: str, is_so: bool, note: str = "") -> Row:
    """Make a row of what has to be so."""
    return Row(section, measure, "yes" if is_so else "no", "", "yes", is_so, note, required=True)


class Meter:
    """Measures on one device.

    Attributes:
        peak: Operations a second that the device's maker names for its precision; None if that is not known.
        gemm: Operations a second of one large matrix product, measured here.
    """

    def __init__(self, compute: Compute, peak: float | None) -> None:
        """Measure the matrix product."""
        self.compute = compute
        self.peak = peak
        self.gemm = self._gemm()
        self._operations: dict[str, float] = {}

    def seconds(self, call: Callable[[], object]) -> float:
        """Time a call, GPU work included."""
        self.wait()
        start = time.perf_counter()
        call()
        self.wait()
        return time.perf_counter() - start

    def operations(self, what: str, n: int, call: Callable[[], object]) -> float:
        """Return the operations of one of `n` items of a call, counted once: torch then gives up what is compiled."""
        if what not in self._operations:
            self._operations[what] = flops_of(call) / n
        return self._operations[what]

    def wait(self) -> None:
        """Wait for the GPU."""
        if self.compute.device.type == "cuda":
            torch.cuda.synchronize(self.compute.device)

    def utilisation(self, flops_per_second: float) -> float | None:
        """Return the share of the device's peak; None if that is not known."""
        return None if self.peak is None else flops_per_second / self.peak

    def _gemm(self) -> float:
        side = _GEMM_SIDE.get(self.compute.device.type, 1024)
        one, other = torch.randn(
            2, side, side, device=self.compute.device, dtype=self.compute.frozen_dtype
        )
        times = [self.seconds(lambda: one @ other) for _ in range(8)]
        return 2 * side**3 / statistics.median(times[3:])


def flops_of(call: Callable[[], object]) -> int:
    """Count the operations of products and convolutions that a call makes, a multiplication and an addition being two.

    Attention counts in full, its masked half included, as is the custom of model FLOPs.
    """
    # Torch has no formula for the fused attention of CPUs, which makes the same products.
    of_cpu = {
        _aten._scaled_dot_product_flash_attention_for_cpu: _attention,
        _aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
    }
    with FlopCounterMode(display=False, custom_mapping=of_cpu) as counter:
        call()
    return int(counter.get_total_flops())


def _attention(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:  # noqa: ANN401  # shapes, to torch
    return int(sdpa_flop_count(query, key, value))


def _attention_backward(gradient: Any, query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:  # noqa: ANN401
    return int(sdpa_backward_flop_count(gradient, query, key, value))


def named_peak(device: torch.device, precision: str) -> float | None:
    """Return the operations a second that a GPU's maker names, from configs/accelerators.yaml; None if it has none."""
    table = config_folder() / "accelerators.yaml"
    if device.type != "cuda" or not table.is_file():
        return None
    name = torch.cuda.get_device_name(device)
    for values in yaml.safe_load(table.read_text(encoding="utf-8")).values():
        if any(part in name for part in values["reported"]):
            rate = values.get(precision)
            return None if rate is None else float(rate)
    return None


def device_name(device: torch.device) -> str:
    """Name a device for the table."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type}, {torch.get_num_threads()} threads"
