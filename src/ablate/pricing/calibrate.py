"""A few steps and batches in earnest on the device that is here, timed."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch
from torch.utils.flop_counter import FlopCounterMode

from ablate.config.errors import ConfigError
from ablate.data.blank import without_images
from ablate.evaluation.progress import Progress
from ablate.evaluation.task import Task
from ablate.methods.base import Session
from ablate.models.compute import Compute
from ablate.models.held import borrowed
from ablate.models.vlm import VisionLanguageModel
from ablate.pricing.calibration import Rate, evaluation_key, keep_rates, training_key
from ablate.pricing.devices import Device
from ablate.pricing.meter import FUSED_ATTENTION
from ablate.pricing.part import Part
from ablate.recipes.build import stages_of
from ablate.runner.prepare import PreparedRun
from ablate.telemetry.progress import say
from ablate.training.importance import mean_gradients_of
from ablate.training.memory import recomputing
from ablate.training.stage import Stage
from ablate.training.trainer import Trainer

# After one that warms up and is counted; their spread is the range.
_TIMED = 4


def calibrate(runs: Sequence[PreparedRun], device: Device) -> None:
    """Make steps and batches of every different kind among some runs, and keep how fast they were.

    Args:
        runs: The runs; their models are loaded, their images are not.
        device: The device that is here.

    Raises:
        ConfigError: If a step or a batch does not fit into its memory.
    """
    timed: dict[str, Rate | None] = {}
    for run in runs:
        try:
            new = _rates(run, device, timed)
        except (torch.OutOfMemoryError, MemoryError) as error:
            raise ConfigError(
                f"Run {run.folder.run_id} does not fit into the memory of {device.name}, so it cannot be timed there. "
                "Fix: `ablate plan` without --calibrate says what would fit."
            ) from error
        timed |= new
        found = {key: rate for key, rate in new.items() if rate is not None}
        if found:
            keep_rates(run.cache_folder, found)
            say(f"{run.folder.run_id}: {len(found)} speeds measured -> {run.cache_folder}")


def _rates(
    run: PreparedRun, device: Device, timed: Mapping[str, Rate | None]
) -> dict[str, Rate | None]:
    """Time what was not timed yet; None where there is nothing to time."""
    config, compute = run.config, device.compute
    tasks = {evaluation_key(config, device, task.name): task for task in run.tasks}
    stages = stages_of(config, without_images(run.data))
    # The first of those with one label, which sessions share.
    trained = {training_key(config, device, stage.label): stage for stage in reversed(stages)}
    if {*tasks, *trained} <= {*timed}:
        return {}
    new: dict[str, Rate | None] = {}
    parts = frozenset[str]().union(*(stage.method.parts() for stage in stages))
    with borrowed(config, compute, parts) as vlm:
        for key, task in tasks.items():
            if key not in timed:
                new[key] = _evaluation(task, vlm, run, compute)
        for key, stage in trained.items():
            if key not in timed:
                new[key] = _training(stage, vlm, compute, config.seed)
    return new


def _training(stage: Stage, vlm: VisionLanguageModel, compute: Compute, seed: int) -> Rate | None:
    """Time steps on one batch; None where nothing is trained."""
    method = stage.method
    loss = stage.examples(vlm).loss
    rows = torch.arange(min(loss.n, stage.train.batch_size * stage.train.accumulation_steps))
    part = Part(loss, rows)
    gradients = {}
    if parameters := method.importance_parameters(vlm):
        gradients = mean_gradients_of(parameters, vlm, part, stage.train, compute, seed)
        gradients = {name: tensor.to(compute.device) for name, tensor in gradients.items()}

    def autocast_loss(indices: torch.Tensor) -> torch.Tensor:
        with compute.autocast():
            return part(vlm, indices)

    train = replace(stage.train, epochs=_TIMED + 2)
    method.attach(vlm, Session(autocast_loss, part.n, train.epochs, gradients, seed))
    rate = None
    if any(parameter.requires_grad for parameter in vlm.parameters()):
        with recomputing(vlm, train.gradient_checkpointing):
            trainer = Trainer(vlm, method, part, train, compute, seed)
            rate = _timed(lambda n: trainer.train(lambda _: None, until=n), compute)
    method.merge()
    vlm.requires_grad_(False).eval()
    return rate


def _evaluation(
    task: Task, vlm: VisionLanguageModel, run: PreparedRun, compute: Compute
) -> Rate | None:
    """Time one batch, again and again; None where the task cannot say which."""
    config = run.config.eval
    try:
        sample = task.sample(range(min(task.n, config.batch_size)))
    except NotImplementedError:
        return None

    def answer(_: int) -> None:
        with compute.autocast():
            sample.evaluate(vlm, config, Progress())

    return _timed(answer, compute)


def _timed(work: Callable[[int], None], compute: Compute) -> Rate:
    """Do something, counted, and again, timed; it is told the how manyth time it is, from 1."""
    with FlopCounterMode(display=False, custom_mapping=FUSED_ATTENTION) as counter:
        work(1)
    seconds = []
    for number in range(2, _TIMED + 2):
        _wait(compute)
        start = time.perf_counter()
        work(number)
        _wait(compute)
        seconds.append(time.perf_counter() - start)
    flops = counter.get_total_flops()
    return Rate(flops / max(seconds), flops / min(seconds))


def _wait(compute: Compute) -> None:
    if compute.device.type == "cuda":
        torch.cuda.synchronize(compute.device)
