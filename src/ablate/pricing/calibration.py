"""How fast a device was in earnest: kept beside the other caches of an output folder."""

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ablate.config.schema import RunConfig
from ablate.models.files import model_source
from ablate.models.options import as_loaded
from ablate.pricing.devices import Device
from ablate.recipes.instructions import ALIGN
from ablate.results.cache import writing

_FILE = "calibration.json"


@dataclass(frozen=True)
class Rate:
    """Operations a second that were reached, as planned ones are counted.

    Attributes:
        low: The slowest of some steps or batches.
        high: The fastest.
    """

    low: float
    high: float


def training_key(config: RunConfig, device: Device, stage: str) -> str:
    """Name what the speed of a step depends on: not rank, heads or sparsity, which change little of it.

    Args:
        config: The run.
        device: Where.
        stage: Label of the stage.
    """
    recipe = config.train
    methods = [one and one.name for one in (config.method, config.language, config.projector)]
    if stage == ALIGN and config.align is not None:
        # It trains the projector, whatever a run's methods are.
        recipe, methods = config.align, [None, None, None]
    return _key(
        config,
        device,
        "training",
        stage=stage,
        methods=methods,
        loss=config.loss,
        batch_size=recipe.batch_size,
        recomputes=recipe.gradient_checkpointing,
    )


def evaluation_key(config: RunConfig, device: Device, task: str) -> str:
    """Name what the speed of a task's batches depends on: one word after the other is slower than all at once."""
    return _key(
        config,
        device,
        "evaluation",
        task=task,
        scoring=_scoring(config, task),
        max_new_tokens=config.eval.max_new_tokens,
        batch_size=config.eval.batch_size,
    )


def _scoring(config: RunConfig, task: str) -> str | None:
    """Return how a task is answered, where that is a choice."""
    own = [data for data in (config.data, *config.controls.values()) if data.name == task]
    suite = config.tasks.tasks if config.tasks else {}
    return next((getattr(one, "scoring", None) for one in (*own, suite.get(task))), None)


def _key(config: RunConfig, device: Device, kind: str, **values: object) -> str:
    encoder = None if config.encoder is None else config.encoder.name
    common = {
        "kind": kind,
        "device": device_name(device),
        "precision": device.compute.precision,
        "model": model_source(config.model).partition("@")[0],
        "encoder": encoder,
        **as_loaded(config.model),
    }
    return json.dumps({**common, **values}, sort_keys=True)


def device_name(device: Device) -> str:
    """Name a device; of a CPU, processor and threads."""
    if device.compute.device.type != "cpu":
        return device.name
    return f"cpu {platform.processor() or platform.machine()} {torch.get_num_threads()} threads"


def read_rates(folder: Path) -> dict[str, Rate]:
    """Read what was measured, by key; damaged entries count as absent."""
    try:
        content = json.loads((folder / _FILE).read_text(encoding="utf-8"))
        items = content.items()
    except (OSError, ValueError, AttributeError, RecursionError):
        return {}
    return {key: rate for key, values in items if (rate := _rate(values)) is not None}


def keep_rates(folder: Path, rates: Mapping[str, Rate]) -> None:
    """Add what was measured to what is known."""
    known = {**read_rates(folder), **rates}
    content = {key: [rate.low, rate.high] for key, rate in sorted(known.items())}
    with writing(folder / _FILE) as temporary:
        temporary.write_text(json.dumps(content, indent=1), encoding="utf-8")


def _rate(values: Any) -> Rate | None:  # noqa: ANN401  # whatever the file holds
    try:
        low, high = (float(value) for value in values)
    except (TypeError, ValueError):
        return None
    return Rate(low, high) if 0 < low <= high < float("inf") else None
