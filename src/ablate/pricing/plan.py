"""A plan: what every run takes, what they take together, and what was assumed."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablate.config.text import printable
from ablate.pricing.calibration import Rate, evaluation_key, read_rates, training_key
from ablate.pricing.devices import Device
from ablate.pricing.fit import Change, cheapest_change, fit
from ablate.pricing.hours import Hours, Utilisation, hours_at
from ablate.pricing.pieces import Piece
from ablate.pricing.planned import PlannedRun, plan_run
from ablate.pricing.price import Pricer, RunPrice
from ablate.pricing.rows import row, total_hours
from ablate.pricing.show import GIGA, TERA, hours_text, number
from ablate.pricing.stand_in import TOKENS, StandIns
from ablate.runner.prepare import CACHE
from ablate.sweep.axes import check_axes
from ablate.sweep.expansion import RunSpec

_VERDICTS = {
    "yes": "fits",
    "tight": "leaves too little beside it",
    "no": "does not fit",
}


@dataclass(frozen=True)
class Plan:
    """What a command line would make.

    Attributes:
        prices: What each run takes, in order.
        rows: The same, flat.
        device: Where.
        hours: All runs together, on one device; None if that is not known.
        utilisation: What hours from the device's peak assume.
        replaced: Models that are not on disk.
        change: The cheapest one that makes the run fit that holds most, where it does not.
        measured: What hours rest on that was measured.
        assumes_peak: Whether some hours rest on the device's peak.
    """

    prices: list[RunPrice]
    rows: list[dict[str, Any]]
    device: Device
    hours: Hours | None
    utilisation: Utilisation
    replaced: tuple[str, ...]
    change: Change | None
    measured: frozenset[str]
    assumes_peak: bool

    @property
    def not_priced(self) -> list[str]:
        """What is missing in the sums, which are then the least that it takes, and why."""
        return sorted({reason for price in self.prices for reason in price.not_priced})


def make_plan(
    specs: Sequence[RunSpec], device: Device, utilisation: Utilisation, stand_ins: StandIns
) -> Plan:
    """Price runs.

    Args:
        specs: The runs.
        device: Where they would be made.
        utilisation: The share of the device's peak that hours assume.
        stand_ins: What takes the place of models that are not on disk.

    Raises:
        ConfigError: If a run could not be made.
    """
    runs = [plan_run(spec, stand_ins) for spec in specs]
    prepared = [run.prepared for run in runs if run.prepared is not None]
    if len(prepared) == len(runs):
        check_axes(prepared)
    different = {run.prepared.folder.path if run.prepared else i: run for i, run in enumerate(runs)}
    pricer = Pricer(device.compute)
    prices = pricer.all(list(different.values()))
    largest = max(prices, key=lambda price: price.peak_bytes or 0)
    change = None
    if largest.peak_bytes is not None and fit(largest.peak_bytes, device) != "yes":
        change = cheapest_change(largest, pricer, device)
    speeds = _Speeds(device)
    hours = [hours_at(price.left, device, utilisation, speeds.of(price.run)) for price in prices]
    return Plan(
        prices,
        [row(price, one, device) for price, one in zip(prices, hours, strict=True)],
        device,
        total_hours([h for h, price in zip(hours, prices, strict=True) if price.has_any]),
        utilisation,
        tuple(sorted(stand_ins.used)),
        change,
        frozenset(speeds.used),
        speeds.missing,
    )


class _Speeds:
    """What was measured on a device, run by run.

    Attributes:
        used: What was found.
        missing: Whether something was not.
    """

    def __init__(self, device: Device) -> None:
        self._device = device
        self._known: dict[Path, dict[str, Rate]] = {}
        self.used: set[str] = set()
        self.missing = False

    def of(self, run: PlannedRun) -> Callable[[Piece], Rate | None]:
        """Return what finds the speed of a run's pieces."""
        folder = Path(run.given.output_dir) / CACHE
        if folder not in self._known:
            self._known[folder] = read_rates(folder)
        rates = self._known[folder]

        def rate_of(piece: Piece) -> Rate | None:
            if piece.kind == "evaluation":
                key = evaluation_key(run.given, self._device, piece.of)
            else:
                key = training_key(run.given, self._device, piece.of)
            if key in rates:
                self.used.add(key)
            else:
                self.missing = True
            return rates.get(key)

        return rate_of


def headline(plan: Plan) -> str:
    """Say how many runs there are, and how many are done."""
    states = [price.state for price in plan.prices]
    done = states.count("done")
    where = f"{plan.device.name}, {plan.device.compute.precision}"
    runs = "1 run" if len(states) == 1 else f"{len(states)} runs"
    return f"{runs}, {done} done, {len(states) - done} to run; on {where}"


def summary(plan: Plan) -> Iterator[str]:
    """Yield what the runs take together, whether they fit, and what is missing."""
    known = [p.flops for price in plan.prices for p in price.left if p.flops is not None]
    flops, missing = sum(known), plan.not_priced
    least = "at least " if missing else ""
    hours = ""
    if plan.hours is not None:
        unit = "hours" if plan.device.compute.device.type == "cpu" else "GPU hours"
        hours = f", {least}{hours_text(plan.hours.low, plan.hours.high)} {unit}"
    is_unknown = missing and not known
    yield "total: not known" if is_unknown else f"total: {least}{number(flops, TERA)} TFLOP{hours}"
    if plan.hours is None and flops:
        yield (
            f"hours: not known, because the peak of '{plan.device.name}' is not. "
            "Fix: --device NAME, or ablate plan --calibrate on it."
        )
    for reason in missing:
        yield printable(f"not priced: {reason}")
    for reason in sorted({price.run.unnamed for price in plan.prices if price.run.unnamed}):
        yield printable(f"whether runs are done is not known: {reason}")
    yield from _memory(plan)


def _memory(plan: Plan) -> Iterator[str]:
    """Say whether everything fits."""
    peaks = [price.peak_bytes for price in plan.prices if price.peak_bytes is not None]
    if not peaks:
        return
    device, most = plan.device, max(peaks)
    verdict = fit(most, device)
    said, least = _VERDICTS[verdict], "at least " if plan.not_priced else ""
    if least and verdict == "yes":
        said = "of what is priced fits"
    yield (
        f"memory: {least}{number(most, GIGA)} GB at the peak {said} on {device.name} "
        f"({number(device.memory_bytes, GIGA)} GB, {number(device.usable_bytes, GIGA)} of them for tensors)"
    )
    if verdict == "yes":
        return
    if plan.change is None:
        yield "no change that is known here makes it fit"
        return
    words = " ".join(plan.change.words) or f"--device {plan.change.device.name}"
    yield f"the cheapest change that makes it fit: {words} ({number(plan.change.peak_bytes, GIGA)} GB)"


def assumptions(plan: Plan) -> Iterator[str]:
    """Yield what the numbers rest on, besides the code of a run."""
    if plan.hours is not None:
        low, high = plan.utilisation.low, plan.utilisation.high
        said = [f"by {len(plan.measured)} measured speeds"] if plan.measured else []
        if plan.assumes_peak:
            said.append(f"at {low:.0%} to {high:.0%} of the device's peak (--utilisation)")
        if said:
            yield f"hours {' and '.join(said)}, without loading models and reading images"
    if plan.replaced:
        yield f"sizes of {', '.join(plan.replaced)} as shipped, not on disk; {TOKENS}"
    yield "generated answers have full length; seeds take as much as the first one's draw"
    yield "bytes are those of tensors, as torch's fused attention leaves them"
