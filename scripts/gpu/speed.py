"""How fast a training step and an evaluation are, and what share of the device's rate that is."""

import copy
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

import torch
from transformers import GenerationConfig, LlavaProcessor

from ablate.data.multiple_choice import letters_question
from ablate.data.types import ImageClassification
from ablate.evaluation.progress import Progress
from ablate.evaluation.tasks.classification import ClassificationTask
from ablate.models.vlm import VisionLanguageModel
from ablate.telemetry.cost import peak_memory_bytes, reset_peak_memory
from ablate.training.trainer import Trainer
from gpu.measure import Meter, Row, at_least, within
from gpu.planned import stage_price, task_price
from gpu.runs import Kept, attached, run_config, shots_of, task_of

_STEP_MFU, _EVALUATION_MFU, _TIMES_FASTER = 0.45, 0.50, 8.0
_WARM_UP, _MOST_STEPS = 2, 12
_BATCHES = 8
_PLANNED_FLOPS, _PLANNED_BYTES = 0.02, 0.20


def training_step(
    vlm: VisionLanguageModel,
    data: ImageClassification,
    meter: Meter,
    batch_size: int,
    deadline: float,
    compiled: bool = False,
) -> Iterator[Row]:
    """Time steps of LoRSU by the language model's loss: forward, backward, optimiser, data."""
    section = "training step, compiled" if compiled else "training step"
    words = ["method=lorsu", "loss=lm", f"data.shots={shots_of(batch_size, 3)}", "train.epochs=100"]
    words += [f"train.batch_size={batch_size}", "train.drop_last=true"]
    config = run_config(*words, "train.importance_examples=5")
    kept = Kept(vlm)
    reset_peak_memory(meter.compute.device)
    began = time.perf_counter()
    method, loss = attached(config, data, vlm, meter.compute)
    trainer = Trainer(vlm, method, loss, config.train, meter.compute, config.seed)
    losses: list[float] = []

    def steps(n: int) -> None:
        trainer.train(losses.append, until=trainer.step + n)

    steps(_WARM_UP)
    first = time.perf_counter() - began
    flops = batch_size * meter.operations("step", batch_size, lambda: steps(1))
    times = [meter.seconds(lambda: steps(1))]
    while len(times) < _MOST_STEPS and time.perf_counter() + times[-1] < deadline:
        times.append(meter.seconds(lambda: steps(1)))
    seconds = statistics.median(times)
    yield Row(section, "images in a step", batch_size)
    n_tokens = len(vlm.prompt_ids(letters_question(data.question, data.class_names)))
    yield Row(section, "tokens of a question", n_tokens)
    yield Row(section, "seconds of a step", seconds, "s", note=f"median of {len(times)}")
    yield Row(section, f"seconds of importance and {_WARM_UP} steps", first, "s")
    yield Row(section, "tokens a second", batch_size * n_tokens / seconds, "1/s")
    yield Row(
        section, "operations of a step", flops / 1e12, "TFLOP", note="counted, no recomputation"
    )
    yield from _utilisation(section, flops / seconds, meter, _STEP_MFU)
    n_bytes = peak_memory_bytes(meter.compute.device)
    yield Row(section, "peak memory", n_bytes / 1e9, "GB")
    method.merge()
    kept.put_back()
    if not compiled:
        found = stage_price(config, data, vlm, meter.compute)
        of_step = found.training_flops / found.n_steps
        most = max(found.peak_bytes, found.importance_bytes)
        yield from _foretold(section, meter, of_step / flops, most / n_bytes)


def evaluation(
    vlm: VisionLanguageModel,
    data: ImageClassification,
    meter: Meter,
    plain: "Plain",
    batch_size: int,
    deadline: float,
    compiled: bool = False,
) -> Iterator[Row]:
    """Time multiple choice by letters, images decoded on the way, against plain transformers."""
    section = "evaluation, compiled" if compiled else "evaluation"
    n_test = len(data.test.ids)

    def task(n: int) -> tuple[ClassificationTask, Any]:
        words = ["data.scoring=letters", f"data.test_items={n}", f"eval.batch_size={batch_size}"]
        config = run_config(*words)
        return task_of(config, data), config.eval

    def evaluate(n: int) -> None:
        new, settings = task(n)
        with meter.compute.autocast():
            new.evaluate(vlm, settings, Progress())

    first = meter.seconds(lambda: evaluate(batch_size))
    reset_peak_memory(meter.compute.device)
    flops = meter.operations("evaluation", batch_size, lambda: evaluate(batch_size))
    one = meter.seconds(lambda: evaluate(batch_size)) / batch_size
    # Several batches at least: the images of one are decoded while the model is at another.
    most = max(_BATCHES * batch_size, int((deadline - time.perf_counter()) / 2 / one))
    n = max(batch_size, min(n_test, most) // batch_size * batch_size)
    seconds = meter.seconds(lambda: evaluate(n)) / n
    n_tokens = len(vlm.prompt_ids(letters_question(data.question, data.class_names)))
    yield Row(
        section, "items a second", 1 / seconds, "1/s", note=f"{n} items in batches of {batch_size}"
    )
    yield Row(section, "seconds of the first batch", first, "s")
    yield Row(section, "tokens a second", n_tokens / seconds, "1/s")
    yield from _utilisation(section, flops / seconds, meter, _EVALUATION_MFU)
    n_bytes = peak_memory_bytes(meter.compute.device)
    yield Row(section, "peak memory", n_bytes / 1e9, "GB")
    if not compiled:
        found = task_price(*task(batch_size), vlm, meter.compute)
        of_item = found.flops / batch_size
        yield from _foretold(section, meter, of_item / flops, found.peak_bytes / n_bytes)
    for batch, name in ((1, "one question at a time"), (batch_size, f"batches of {batch_size}")):
        rate = plain.rate(task(n_test)[0], batch, deadline)
        note = "generate, 2 new tokens: a letter and the end, which a trained model stops after"
        yield Row(section, f"plain transformers, {name}", rate, "1/s", note=note)
        times = 1 / seconds / rate
        if batch == 1:
            yield at_least(section, "times as fast as one at a time", times, _TIMES_FASTER)
        else:
            yield Row(section, "times as fast as in batches", times)


def _utilisation(section: str, rate: float, meter: Meter, target: float) -> Iterator[Row]:
    note = "" if meter.peak else "the device's peak is not known: --peak-tflops"
    yield Row(section, "TFLOP a second", rate / 1e12)
    share = meter.utilisation(rate)
    yield at_least(section, "model FLOPs utilisation", share, target, note=note)
    yield Row(section, "of one large matrix product's rate", rate / meter.gemm)


def _foretold(section: str, meter: Meter, flops: float, n_bytes: float) -> Iterator[Row]:
    """Compare what `ablate plan` says with what was measured; a process's memory is more than a model's."""
    yield within(section, "operations, `ablate plan` over counted", flops, _PLANNED_FLOPS)
    if meter.compute.device.type == "cuda":
        yield within(section, "peak memory, `ablate plan` over measured", n_bytes, _PLANNED_BYTES)


class Plain:
    """What a script of one's own does with transformers: its processor, its `generate`."""

    def __init__(self, vlm: VisionLanguageModel, data: ImageClassification, meter: Meter) -> None:
        """Measure nothing yet."""
        self._vlm, self._data, self._meter = vlm, data, meter
        self._rates: dict[int, float] = {}
        self._dtype = vlm.llava.lm_head.weight.dtype
        self._processor = LlavaProcessor(
            vlm.image_processor,
            vlm.tokenizer,
            patch_size=vlm.patch_size_px,
            vision_feature_select_strategy="default",
            num_additional_image_tokens=1,
        )
        end = vlm.tokenizer.eos_token_id
        self._generation = GenerationConfig(
            do_sample=False, max_new_tokens=2, min_new_tokens=2, eos_token_id=end, pad_token_id=end
        )

    def rate(self, task: ClassificationTask, batch: int, deadline: float) -> float:
        """Return the items a second, the model in one type as such scripts load it; measured once."""
        if batch in self._rates:
            return self._rates[batch]
        llava: Any = self._vlm.llava
        own = llava.model.vision_tower
        llava.model.vision_tower = copy.deepcopy(own).to(self._dtype)
        try:
            rate = self._timed(lambda rows: self._answer(task, rows), batch, deadline)
        finally:
            llava.model.vision_tower = own
        self._rates[batch] = rate
        return rate

    def _timed(self, answer: Callable[[list[int]], None], batch: int, deadline: float) -> float:
        answer(list(range(batch)))
        n, spent = 0, 0.0
        while n < 4 * batch or (n < 32 and time.perf_counter() < deadline):
            rows = [(n + k) % len(self._data.test.ids) for k in range(batch)]
            spent += self._meter.seconds(lambda rows=rows: answer(rows))  # type: ignore[misc]
            n += batch
        return n / spent

    @torch.inference_mode()
    def _answer(self, task: ClassificationTask, rows: list[int]) -> None:
        items = [task._items[row] for row in rows]
        prompts = [
            self._vlm.prompt.replace("{question}", letters_question(i.question, i.options))
            for i in items
        ]
        images = self._data.test.images(rows)
        inputs = cast("Any", self._processor)(
            images=images, text=prompts, padding=True, padding_side="left", return_tensors="pt"
        ).to(self._vlm.device)
        inputs["pixel_values"] = inputs["pixel_values"].to(self._dtype)
        ids = cast("Any", self._vlm.llava).generate(**inputs, generation_config=self._generation)
        self._vlm.tokenizer.batch_decode(ids[:, inputs["input_ids"].shape[1] :])
