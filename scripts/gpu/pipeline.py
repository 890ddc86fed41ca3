"""Every part of a run once: importance, steps and merge of both losses, LoRA, letters, generation, saving, loading."""

import math
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from ablate.config.schema import ModelConfig
from ablate.data.types import ImageClassification
from ablate.evaluation.progress import Progress
from ablate.evaluation.verbs.inference import inference
from ablate.models.compute import Compute
from ablate.models.files import weight_files
from ablate.models.loading import load_model
from ablate.models.saving import save_model
from ablate.models.vlm import VisionLanguageModel
from ablate.telemetry.cost import peak_memory_bytes, reset_peak_memory
from ablate.telemetry.memory import release
from ablate.training.stage import replay_stage
from ablate.training.trainer import Trainer
from gpu.measure import Meter, Row, at_least, at_most, holds
from gpu.model import Size, random_vlm
from gpu.runs import Kept, attached, run_config, shots_of, stage_of, task_of, train

RUNS = (("lorsu", "lm"), ("lorsu", "clip"), ("lora", "lm"))
_STEPS = 3


def last_logits(vlm: VisionLanguageModel, data: ImageClassification, compute: Compute) -> Tensor:
    """Return the logits after a question about an image, float32 on the CPU."""
    ids = torch.tensor([vlm.prompt_ids(data.question)], device=vlm.device)
    wanted = torch.zeros_like(ids, dtype=torch.bool)
    wanted[0, -1] = True
    with inference(vlm), compute.autocast():
        pixels = vlm.resize(data.test.images([0]))
        logits: Tensor = vlm(ids, torch.ones_like(ids), wanted, pixels)
        return logits.float().cpu()


def first_block(vlm: VisionLanguageModel, data: ImageClassification, compute: Compute) -> Tensor:
    """Return what the language model's first block makes of a question about an image, flat, float32 on the CPU."""
    outputs: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        outputs.append(output.float().cpu().flatten())

    hook = vlm.llava.model.language_model.layers[0].register_forward_hook(keep)
    try:
        last_logits(vlm, data, compute)
    finally:
        hook.remove()
    return outputs[0]


def training(
    vlm: VisionLanguageModel, data: ImageClassification, meter: Meter, batch_size: int
) -> Iterator[Row]:
    """Train by each method and loss, merge, evaluate, and replay what was trained from its file."""
    kept = Kept(vlm)
    before = last_logits(vlm, data, meter.compute)
    for method, loss in RUNS:
        section = f"run {method} {loss}"
        words = [f"method={method}", f"loss={loss}", f"data.shots={shots_of(batch_size, _STEPS)}"]
        words += [f"train.batch_size={batch_size}", "train.epochs=1", "train.learning_rate=1e-3"]
        config = run_config(*words)
        reset_peak_memory(meter.compute.device)
        with tempfile.TemporaryDirectory() as folder:
            done = train(config, data, vlm, meter.compute, Path(folder))
            file = Path(folder) / "adapter.safetensors"
            save_file({name: t.contiguous() for name, t in done.update.items()}, file)
            yield Row(section, "peak memory", peak_memory_bytes(meter.compute.device) / 1e9, "GB")
            for stage, seconds in done.seconds.items():
                yield Row(section, f"{stage} of {_STEPS} batches", seconds, "s")
            trained = sum(t.numel() for t in done.update.values() if t.is_floating_point())
            yield Row(section, "scalars in the update", trained)
            changed = kept.changed()
            allowed = (".vision_tower.", *([".visual_projection."] if loss == "clip" else []))
            inside = all(any(part in name for part in allowed) for name in changed)
            yield holds(
                section, "the update moved the image encoder alone", bool(changed) and inside
            )
            after = last_logits(vlm, data, meter.compute)
            yield holds(section, "answers moved and are finite", _moved(before, after))
            merged = {n: p.detach().cpu().clone() for n, p in vlm.vision_tower.named_parameters()}
            kept.put_back()
            replay_stage(stage_of(config, data), vlm, load_file(file), config.seed)
            now = dict(vlm.vision_tower.named_parameters())
            same = all(torch.equal(now[name].cpu(), weight) for name, weight in merged.items())
            yield holds(section, "the file gives the same weights again, bit for bit", same)
            kept.put_back()
    yield holds("run", "the base model is as it was", not kept.changed())


def half_precision(size: Size, data: ImageClassification, meter: Meter) -> Iterator[Row]:
    """Train in float16, whose gradients are scaled, by both losses."""
    compute = Compute(meter.compute.device, "fp16")
    vlm = random_vlm(size, compute)
    kept = Kept(vlm)
    for loss in ("lm", "clip"):
        section = f"float16, lorsu {loss}"
        words = [f"loss={loss}", "data.shots=3", "train.batch_size=5", "train.epochs=1"]
        config = run_config("method=lorsu", *words, "train.learning_rate=1e-3")
        before = last_logits(vlm, data, compute)
        with tempfile.TemporaryDirectory() as folder:
            train(config, data, vlm, compute, Path(folder))
        moved = _moved(before, last_logits(vlm, data, compute))
        yield holds(section, "answers moved and are finite", moved)
        kept.put_back()


def little_memory(
    vlm: VisionLanguageModel, data: ImageClassification, meter: Meter, batch_size: int
) -> Iterator[Row]:
    """Make a step where the GPU's allocator has no memory for the batch: it is made in smaller passes."""
    section, device = "out of memory", meter.compute.device
    if device.type != "cuda":
        yield Row(section, "left out", None, note="a GPU's allocator is asked")
        return
    words = [f"data.shots={shots_of(batch_size, 1)}", f"train.batch_size={batch_size}"]
    config = run_config("method=lorsu", "loss=lm", *words, "train.importance_examples=1")
    kept = Kept(vlm)
    losses: list[float] = []
    before = torch.cuda.memory_allocated(device)
    total = torch.cuda.mem_get_info(device)[1]
    micro_batches = []
    try:
        for share in (None, 0.6):
            method, loss = attached(config, data, vlm, meter.compute)
            trainer = Trainer(vlm, method, loss, config.train, meter.compute, config.seed)
            torch.cuda.empty_cache()
            if share is not None:
                limit = before + share * (peak_memory_bytes(device) - before)
                torch.cuda.set_per_process_memory_fraction(limit / total, device)
            reset_peak_memory(device)
            trainer.train(losses.append, until=1)
            micro_batches.append(trainer.micro_batch)
            method.merge()
            kept.put_back()
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)
    whole, part = micro_batches
    fewer = whole == batch_size and part < whole
    yield holds(section, "fewer examples in a pass", fewer, f"{part} of {whole}")
    change = abs(losses[1] / losses[0] - 1)
    yield at_most(section, "change of the loss", change, 0.01)


def evaluation(
    vlm: VisionLanguageModel, data: ImageClassification, meter: Meter, batch_size: int
) -> Iterator[Row]:
    """Answer by letters, by generation and zero-shot, as a run does."""
    for scoring in ("letters", "generate"):
        words = [f"data.scoring={scoring}", "data.test_items=16", f"eval.batch_size={batch_size}"]
        config = run_config(*words, "eval.max_new_tokens=4")
        task = task_of(config, data, has_clip=True)
        progress = Progress()
        with meter.compute.autocast():
            seconds = meter.seconds(lambda t=task, p=progress, c=config: t.evaluate(vlm, c.eval, p))  # type: ignore[misc]
        answers = progress.answers()
        yield Row(f"evaluate {scoring}", "seconds for 16 items and zero-shot", seconds, "s")
        items = answers["accuracy"]
        if scoring == "letters":
            finite = all(math.isfinite(p) for item in items for p in item.option_logprobs)
            yield holds("evaluate letters", "every letter has a likelihood", finite)
        else:
            told = all(item.text is not None for item in items)
            yield holds("evaluate generate", "every question has an answer's text", told)
        yield holds(
            f"evaluate {scoring}",
            "every image has a class",
            len(answers["zero_shot_accuracy"]) == len(items) == 16,
        )


def saving(
    vlm: VisionLanguageModel, data: ImageClassification, meter: Meter, place: Path
) -> Iterator[Row]:
    """Write the whole model and load it again, weights on the device as a run has them."""
    before = last_logits(vlm, data, meter.compute)
    partial = place.with_name(f"{place.name}.partial")
    seconds = meter.seconds(lambda: save_model(vlm, place, partial))
    size = sum(file.stat().st_size for file in weight_files(str(place)))
    yield Row("save and load", "saved", size / 1e9, "GB", note=f"{seconds:.1f} s")
    config = _of_folder(vlm, place)
    loaded: list[VisionLanguageModel] = []
    seconds = meter.seconds(lambda: loaded.append(load_model(config, meter.compute)))
    yield Row("save and load", "loaded", seconds, "s")
    now, before_it = (
        {**dict(model.named_parameters()), **dict(model.named_buffers())}
        for model in (loaded[0], vlm)
    )
    same = all(torch.equal(tensor, now[name]) for name, tensor in before_it.items())
    yield holds("save and load", "every weight and buffer is the same, bit for bit", same)
    # Weights elsewhere in memory may be added up in another order.
    change = (last_logits(loaded[0], data, meter.compute) - before).abs().max() / before.abs().max()
    yield at_most(
        "save and load", "largest change of a logit over the largest", float(change), 1e-5
    )
    loaded.clear()
    release(meter.compute.device)
    yield from quantised(vlm, data, meter, place)


def quantised(
    vlm: VisionLanguageModel, data: ImageClassification, meter: Meter, place: Path
) -> Iterator[Row]:
    """Load what was saved with its language model in 4 bit, train its encoder, and ask it."""
    section, compute = "4 bit", meter.compute
    if find_spec("bitsandbytes") is None:
        yield Row(section, "left out", None, note="needs the package bitsandbytes")
        return
    config = replace(_of_folder(vlm, place), quantization="4bit")
    loaded: list[VisionLanguageModel] = []
    reset_peak_memory(compute.device)
    seconds = meter.seconds(lambda: loaded.append(load_model(config, compute)))
    yield Row(section, "loaded", seconds, "s")
    small = loaded[0]
    n_bytes = sum(t.nbytes for t in small.parameters())
    yield Row(section, "weights", n_bytes / 1e9, "GB")
    # Of one block: random ones, each with its own rounding, leave little in common after 32.
    found, wanted = (first_block(model, data, compute) for model in (small, vlm))
    cosine = float(functional.cosine_similarity(found, wanted, dim=0))
    yield at_least(section, "cosine of the first block's output", cosine, 0.95, required=True)
    scores = last_logits(small, data, compute)
    words = ["data.shots=1", "train.batch_size=5", "train.epochs=1", "train.learning_rate=1e-3"]
    kept = Kept(small)
    with tempfile.TemporaryDirectory() as folder:
        stage_config = run_config("method=lorsu", "loss=lm", *words)
        train(stage_config, data, small, compute, Path(folder))
    yield holds(section, "LoRSU moved the image encoder", bool(kept.changed()))
    moved = _moved(scores, last_logits(small, data, compute))
    yield holds(section, "answers moved and are finite", moved)


def _of_folder(vlm: VisionLanguageModel, place: Path) -> ModelConfig:
    return replace(
        run_config().model,
        llava=str(place),
        clip=str(place / "clip"),
        revision=None,
        prompt=vlm.prompt,
        image_aspect=vlm.image_aspect,
    )


def _moved(before: Tensor, after: Tensor) -> bool:
    return bool(after.isfinite().all()) and not torch.equal(before, after)
