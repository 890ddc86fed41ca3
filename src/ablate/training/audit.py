"""What is trained, tower by tower and block by block, and how much of it can change a metric."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import nn

from ablate.models.compute import Compute
from ablate.models.vlm import VisionLanguageModel
from ablate.training.losses import Loss

_TOWERS = {
    "vision_tower": "image encoder",
    "visual_projection": "CLIP visual projection",
    "multi_modal_projector": "projector",
    "language_model": "language model",
    "lm_head": "language model",
}
_BLOCK = re.compile(r"\blayers?\.(\d+)\.(.+)")


@dataclass(frozen=True)
class Probes:
    """Losses of a few examples: a parameter that a loss depends on can change its metric.

    Attributes:
        answer: The VQA loss.
        contrastive: The CLIP loss; at least two images. None where there is no CLIP.
    """

    answer: Loss
    contrastive: Loss | None


def audit(vlm: VisionLanguageModel, probes: Probes, compute: Compute) -> pd.DataFrame:
    """Count the trained scalars, and those that the VQA answer and the CLIP score depend on.

    LLaVA reads `hidden_states[-2]`: what comes after that layer is trained under the CLIP loss, but
    does not affect the language model's output.
    Autograd says which parameters a metric depends on, so it holds for any model and method. Key biases of an
    encoder are the one exception that a gradient's existence does not show: a constant added to all of a query's scores
    leaves their softmax as it was.

    Args:
        vlm: The model with its trained parameters.
        probes: The two losses.
        compute: Device and precision.

    Returns:
        One row for each tower, block and layer: `tower, block, layer, trained, reach_vqa, reach_clip`.
    """
    sizes = {name: p.numel() for name, p in vlm.named_parameters() if p.requires_grad}
    rows = [
        {
            **_place(name),
            "trained": sizes[name],
            "reach_vqa": sizes[name] * vqa,
            "reach_clip": None if clip is None else sizes[name] * clip,
        }
        for name, (vqa, clip) in reached(vlm, probes, compute).items()
    ]
    columns = ["tower", "block", "layer", "trained", "reach_vqa", "reach_clip"]
    table = pd.DataFrame(rows, columns=columns)
    table = table.astype({"block": "Int64", "reach_clip": "Int64"})
    sums = table.groupby(columns[:3], sort=False, dropna=False, as_index=False)
    return sums.sum(min_count=1)


def reached(
    vlm: VisionLanguageModel, probes: Probes, compute: Compute
) -> dict[str, tuple[bool, bool | None]]:
    """Tell for each trained parameter whether the answer and the CLIP score depend on it; None without a CLIP."""
    named = [(name, p) for name, p in vlm.named_parameters() if p.requires_grad]
    by_answer = _reached(vlm, named, probes.answer, 1, compute)
    by_clip: Sequence[bool | None] = [None] * len(named)
    if probes.contrastive is not None:
        by_clip = _reached(vlm, named, probes.contrastive, probes.contrastive.n, compute)
    names = [name for name, _ in named]
    return dict(zip(names, zip(by_answer, by_clip, strict=True), strict=True))


def totals(table: pd.DataFrame) -> dict[str, Any]:
    """Sum an audit up in the columns of results.csv."""
    return {
        "trainable_parameters": int(table["trained"].sum()),
        "effective_parameters": int(table["reach_vqa"].sum()),
        "clip_effective_parameters": _sum(table["reach_clip"]),
        "encoder_frozen": "image encoder" not in set(table["tower"]),
        "language_trained": "language model" in set(table["tower"]),
    }


def _sum(column: "pd.Series[Any]") -> int | None:
    """Add up a column; None where it was not measured."""
    return None if column.isna().any() else int(column.sum())


def _reached(
    vlm: VisionLanguageModel,
    named: Sequence[tuple[str, nn.Parameter]],
    loss: Loss,
    n: int,
    compute: Compute,
) -> list[bool]:
    """Tell for each parameter whether the loss of the first `n` examples depends on it."""
    if not named:
        return []
    with compute.autocast():
        value = loss(vlm, torch.arange(n))
    if not value.requires_grad:
        return [False] * len(named)
    gradients = torch.autograd.grad(value, [p for _, p in named], allow_unused=True)
    return [
        gradient is not None and not _is_encoder_key_bias(name)
        for (name, _), gradient in zip(named, gradients, strict=True)
    ]


def _is_encoder_key_bias(name: str) -> bool:
    parts = name.split(".")
    is_bias = any(part.endswith("bias") for part in parts[-2:])
    return is_bias and "vision_tower" in parts and bool({"k_proj", "key"} & set(parts))


def _place(name: str) -> dict[str, str | int | None]:
    """Say where a parameter is, from its path."""
    parts = name.split(".")
    tower = next((words for part, words in _TOWERS.items() if part in parts), parts[0])
    match = _BLOCK.search(name)
    inner = match[2] if match else name
    layer = next((p for p in inner.split(".") if "proj" in p or "norm" in p or "fc" in p), inner)
    return {"tower": tower, "block": int(match[1]) if match else None, "layer": layer}
