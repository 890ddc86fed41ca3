"""Whether devices, precisions and batches agree, and where not, why."""

import copy
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor
from torch.nn import functional

from ablate.config.schema import Precision
from ablate.data.types import ImageClassification
from ablate.evaluation.progress import Progress
from ablate.models.compute import Compute
from ablate.models.vlm import VisionLanguageModel
from ablate.training.importance import mean_gradients_of
from gpu.measure import Meter, Row, at_least, at_most, holds
from gpu.model import Size, random_vlm
from gpu.runs import run_config, stage_of, task_of

CPU = Compute(torch.device("cpu"), "fp32")
# In float32 only the order of sums differs. At the full width a CPU's own bfloat16 differs from float32 by 0.16.
_SCORES = {"fp32": 1e-3, "bf16": 0.25, "fp16": 0.05}
_COSINE = {"fp32": 0.9999, "bf16": 0.98, "fp16": 0.98}
_ENTRIES = {"fp32": 0.99, "bf16": 0.8, "fp16": 0.8}
_ENTRIES_SHARE = 0.1


def batches(
    vlm: VisionLanguageModel, data: ImageClassification, meter: Meter, n: int, batch_size: int
) -> Iterator[Row]:
    """Answer the same questions alone and in batches: which predictions differ, and how near a tie they were."""
    alone, together = (_scores(vlm, data, meter.compute, n, size) for size in (1, batch_size))
    moved = (alone - together).abs().max()
    differs = alone.argmax(1) != together.argmax(1)
    best = alone.topk(2, dim=1).values
    margins = (best[:, 0] - best[:, 1])[differs]
    section = f"batch 1 against {batch_size}"
    yield Row(section, "questions", n)
    yield Row(section, "predictions that differ", int(differs.sum()))
    yield Row(section, "largest change of a log-likelihood", float(moved))
    spread = float(together.std(dim=0).mean())
    yield Row(section, "spread of one over the questions", spread, note="standard deviation")
    yield holds(
        section,
        "those that differ were nearer a tie than rounding",
        bool((margins <= 2 * moved).all()),
        f"largest margin {float(margins.max()):.4f}" if len(margins) else "none differs",
    )


def devices(size: Size, data: ImageClassification, meter: Meter) -> Iterator[Row]:
    """Compare scores and importance with those of the CPU in float32, on one model."""
    vlm = random_vlm(size, CPU)
    wanted = _found(vlm, data, CPU)
    device = meter.compute.device
    others = [Compute(device, precision) for precision in _precisions(device)]
    for compute in others:
        other = copy.deepcopy(vlm).to(compute.device)
        for part in (other.llava.model.language_model, other.llava.lm_head):
            part.to(compute.frozen_dtype)
        other.llava.model.multi_modal_projector.to(compute.frozen_dtype)
        scores, gradients = _found(other, data, compute)
        del other
        section = f"CPU fp32 against {device.type} {compute.precision}"
        precision = compute.precision
        moved = float((scores - wanted[0]).abs().max())
        yield at_most(section, "largest change of a log-likelihood", moved, _SCORES[precision])
        cosine, shared = _compared(wanted[1], gradients)
        for measure, value, limit in (
            ("least cosine of a weight's importance", cosine, _COSINE[precision]),
            ("least share of chosen entries in common", shared, _ENTRIES[precision]),
        ):
            yield at_least(section, measure, value, limit, required=True)


def _precisions(device: torch.device) -> list[Precision]:
    """Return what the device computes in."""
    halves: list[Precision] = ["bf16"]
    if device.type == "cuda":
        has_bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
        halves = ["bf16", "fp16"] if has_bf16 else ["fp16"]
    return ["fp32", *halves]


def _found(
    vlm: VisionLanguageModel, data: ImageClassification, compute: Compute
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the scores of four questions, and the importance that five images give."""
    config = run_config("method=lorsu", "loss=lm", "data.shots=1", "train.batch_size=5")
    stage = stage_of(config, data)
    loss = stage.examples(vlm).loss
    parameters = stage.method.importance_parameters(vlm)
    gradients = mean_gradients_of(parameters, vlm, loss, stage.train, compute, config.seed)
    return _scores(vlm, data, compute, 4, 4), gradients


def _scores(
    vlm: VisionLanguageModel, data: ImageClassification, compute: Compute, n: int, batch_size: int
) -> Tensor:
    """Return the letters' log-likelihoods, `[n, options]`."""
    words = ["data.scoring=letters", f"data.test_items={n}", f"eval.batch_size={batch_size}"]
    config = run_config(*words)
    progress = Progress()
    with compute.autocast():
        task_of(config, data).evaluate(vlm, config.eval, progress)
    return torch.tensor([item.option_logprobs for item in progress.answers()["accuracy"]])


def _compared(wanted: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> tuple[float, float]:
    """Return the least cosine of two gradients of a weight, and the least share of largest entries in common."""
    cosines, shares = [], []
    for name, one in wanted.items():
        other = found[name]
        cosines.append(float(functional.cosine_similarity(one.flatten(), other.flatten(), dim=0)))
        n = int(one.numel() * _ENTRIES_SHARE)
        chosen = [torch.zeros(one.numel(), dtype=torch.bool) for _ in range(2)]
        for is_chosen, gradient in zip(chosen, (one, other), strict=True):
            is_chosen[gradient.abs().flatten().topk(n).indices] = True
        shares.append(float((chosen[0] & chosen[1]).sum()) / n)
    return min(cosines), min(shares)
