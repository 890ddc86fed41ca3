"""A plan as rows, one for each run: what is not known is None."""

from collections.abc import Sequence
from typing import Any

from ablate.pricing.devices import Device
from ablate.pricing.fit import Fit, fit
from ablate.pricing.hours import Hours
from ablate.pricing.price import RunPrice


def row(price: RunPrice, hours: Hours | None, device: Device) -> dict[str, Any]:
    """Return what is known of a run, by column.

    `parameters`, `trained` and `effective` count scalars; columns of operations, of bytes and of hours are those of
    what is left to do. The columns of training's bytes are those of the stage that holds most at once.

    Args:
        price: What it takes.
        hours: How long that is; None if it is not known.
        device: Where.
    """
    stages = price.stages
    largest = max(stages, key=lambda stage: stage.peak_bytes, default=None)
    evaluation = [p.peak_bytes for p in price.left if p.kind == "evaluation" and p.peak_bytes]
    trains = any(piece.kind == "training" for piece in price.left)
    peak = price.peak_bytes
    return {
        "run_id": price.run.name,
        "state": price.state,
        "seed": price.run.config.seed,
        "parameters": price.parameters,
        "trained": stages[-1].trained if stages else None,
        "effective": stages[-1].effective if stages else None,
        "steps": sum(stage.n_steps for stage in stages) if stages and trains else None,
        "importance_flops": price.flops("importance"),
        "training_flops": price.flops("training"),
        "evaluation_flops": price.flops("evaluation"),
        "weight_bytes": largest.weight_bytes if largest else None,
        "gradient_bytes": largest.gradient_bytes if largest else None,
        "optimizer_bytes": largest.optimizer_bytes if largest else None,
        "activation_bytes": largest.activation_bytes if largest else None,
        "training_peak_bytes": largest.peak_bytes if largest and trains else None,
        "evaluation_peak_bytes": max(evaluation, default=None),
        "peak_bytes": peak,
        "fits": _fits(price, device),
        "hours_low": None if hours is None else hours.low,
        "hours_high": None if hours is None else hours.high,
        "on_disk": "; ".join(
            dict.fromkeys(f"{p.kind} {p.label}" for p in price.pieces if p.is_kept)
        ),
        "from_another_run": "; ".join(
            f"{price.pieces[i].kind} {price.pieces[i].label}" for i in sorted(price.shared)
        ),
        "not_priced": "; ".join(price.not_priced),
        "device": device.name,
        "precision": device.compute.precision,
    }


def _fits(price: RunPrice, device: Device) -> Fit | None:
    """Say whether a run fits; None where that depends on what has no price."""
    if price.peak_bytes is None:
        return None
    found = fit(price.peak_bytes, device)
    return None if price.not_priced and found != "no" else found


def total_hours(hours: Sequence[Hours | None]) -> Hours | None:
    """Add up the hours of runs that have a price; None if those of one are not known, or there is none."""
    known = [one for one in hours if one is not None]
    return sum(known, Hours(0.0, 0.0)) if known and len(known) == len(hours) else None
