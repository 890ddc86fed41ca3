"""Whether runs fit on a device, and the cheapest change that would make them fit."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from ablate.config.schema import RunConfig, TrainConfig
from ablate.pricing.devices import Device, accelerators, named_device
from ablate.pricing.planned import PlannedRun
from ablate.pricing.price import Pricer, RunPrice

Fit = Literal["yes", "tight", "no"]
Variant = tuple[tuple[str, ...], RunConfig]


@dataclass(frozen=True)
class Change:
    """What makes a run fit.

    Attributes:
        words: Words of `ablate run`; none if another device is all it takes.
        peak_bytes: What the run then holds at once.
        device: Where that fits.
    """

    words: tuple[str, ...]
    peak_bytes: int
    device: Device


def fit(peak_bytes: int, device: Device) -> Fit:
    """Say whether so many bytes of tensors fit on a device; `tight` leaves too little beside them."""
    if peak_bytes <= device.usable_bytes:
        return "yes"
    return "tight" if peak_bytes <= device.memory_bytes else "no"


def cheapest_change(price: RunPrice, pricer: Pricer, device: Device) -> Change | None:
    """Find what makes a run fit that does not, in the order of what it costs.

    Smaller batches of evaluation and recomputed activations change no number, accumulated batches only how it is
    rounded; half precision changes numbers; another device costs money.

    Args:
        price: What the run takes now.
        pricer: Prices it with changes.
        device: Where it does not fit.

    Returns:
        The first that fits; None if nothing does, or if a part of the run has no price.
    """
    if price.peak_bytes is None or price.not_priced:
        return None
    words = _words(price, pricer, device)
    if words is not None:
        return Change(*words, device)
    halved = _in_half_precision(device)
    if halved is not None:
        words = _words(price, Pricer(halved.compute), halved)
        if words is not None:
            return Change(("precision=bf16", *words[0]), words[1], halved)
    return _larger(price.peak_bytes, device)


def _words(price: RunPrice, pricer: Pricer, device: Device) -> tuple[tuple[str, ...], int] | None:
    """Return words that make a run fit in one precision, and what it holds then."""
    config = price.run.config
    kinds = {piece.kind for piece in price.left}
    found: list[tuple[tuple[str, ...], int]] = []
    for kind, variants, peak_of in (
        ("evaluation", _evaluations(config), pricer.evaluation_peak),
        ("training", _trainings(price.run, pricer, device), pricer.training_peak),
    ):
        if kind in kinds:
            first = _first(variants, price.run, peak_of, device)
            if first is None:
                return None
            found.append(first)
    return tuple(word for words, _ in found for word in words), max(peak for _, peak in found)


def _first(
    variants: Iterable[Variant],
    run: PlannedRun,
    peak_of: Callable[[PlannedRun], int | None],
    device: Device,
) -> tuple[tuple[str, ...], int] | None:
    for words, config in variants:
        peak = peak_of(replace(run, config=config))
        if peak is not None and peak <= device.usable_bytes:
            return words, peak
    return None


def _evaluations(config: RunConfig) -> Iterator[Variant]:
    """Yield a configuration with ever smaller batches of evaluation."""
    yield (), config
    size = config.eval.batch_size
    while size > 1:
        size //= 2
        smaller = replace(config.eval, batch_size=size)
        yield (f"eval.batch_size={size}",), replace(config, eval=smaller)


def _trainings(run: PlannedRun, pricer: Pricer, device: Device) -> Iterator[Variant]:
    """Yield a configuration with recomputed activations, with accumulated batches, and with both.

    Batches that cannot fit, because weights, gradients and moments alone do not, or because activations are
    proportional to the batch, are left out.
    """
    config = run.config
    yield (), config
    largest = max(pricer.stages(run), key=lambda stage: stage.peak_bytes)
    fixed = largest.peak_bytes - largest.activation_bytes
    if fixed > device.usable_bytes:
        return
    if not config.train.gradient_checkpointing:
        yield _changed(config, recomputes=True, factor=1)
    if config.loss == "clip":
        return
    factors = [2**n for n in range(1, 11) if config.train.batch_size % 2**n == 0]
    if not config.train.gradient_checkpointing:
        for factor in factors:
            if fixed + largest.activation_bytes / factor <= 1.2 * device.usable_bytes:
                yield _changed(config, recomputes=False, factor=factor)
    for factor in factors:
        yield _changed(config, recomputes=True, factor=factor)


def _changed(config: RunConfig, recomputes: bool, factor: int) -> Variant:
    """Return a configuration with smaller batches, more of them a step, and the words that say so."""
    words: list[str] = []

    def changed(key: str, recipe: TrainConfig) -> TrainConfig:
        recipe_factor = factor if recipe.batch_size % factor == 0 else 1
        new = replace(
            recipe,
            batch_size=recipe.batch_size // recipe_factor,
            accumulation_steps=recipe.accumulation_steps * recipe_factor,
            gradient_checkpointing=recomputes or recipe.gradient_checkpointing,
        )
        for field in ("gradient_checkpointing", "batch_size", "accumulation_steps"):
            if getattr(new, field) != getattr(recipe, field):
                words.append(f"{key}.{field}={str(getattr(new, field)).lower()}")
        return new

    train = changed("train", config.train)
    align = None if config.align is None else changed("align", config.align)
    return tuple(words), replace(config, train=train, align=align)


def _in_half_precision(device: Device) -> Device | None:
    """Return the same device in bfloat16, where it computes in float32 and has that."""
    peak = device.accelerator
    if device.compute.precision != "fp32" or peak is None or peak.bf16 is None:
        return None
    return replace(device, compute=replace(device.compute, precision="bf16"))


def _larger(peak_bytes: int, device: Device) -> Change | None:
    """Return the smallest device of the table that has room enough as things are."""
    precision = device.compute.precision
    known = [named_device(name, precision) for name in accelerators()]
    fitting = [one for one in known if one.usable_bytes >= peak_bytes and one.flops_per_second]
    smallest = min(fitting, key=lambda one: one.memory_bytes, default=None)
    return None if smallest is None else Change((), peak_bytes, smallest)
