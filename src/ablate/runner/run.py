"""One run: load, measure, adapt, measure again."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from safetensors.torch import save_file
from torch import Tensor

from ablate.config.schema import RunConfig
from ablate.data.few_shot import class_sessions, decode, few_shot_indices
from ablate.data.multiple_choice import multiple_choice_items
from ablate.data.types import LabelledImages
from ablate.evaluation.metrics import control_change, target_improvement
from ablate.methods.base import Method
from ablate.methods.build import build_method
from ablate.methods.lorsu.importance import mean_gradients
from ablate.models.compute import Compute
from ablate.models.loading import load_model
from ablate.models.vlm import VisionLanguageModel
from ablate.results.files import replacing
from ablate.results.record import TaskResult
from ablate.runner.audit import count_parameters
from ablate.runner.evaluate import EvaluationSet, Outcome, evaluate, item_table, task_results
from ablate.runner.prepare import PreparedRun
from ablate.runner.progress import stage_bar
from ablate.runner.stages import Stopwatch
from ablate.runner.untouched import ask_untouched
from ablate.training.loop import steps_per_epoch, train
from ablate.training.losses import Loss, build_loss

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Measured:
    """What a run found.

    Attributes:
        columns: Value by column of results.csv.
        tasks: Rows of tasks.csv.
        items: One row per item.
    """

    columns: dict[str, Any]
    tasks: list[TaskResult]
    items: pd.DataFrame


def measure(prepared: PreparedRun, compute: Compute, watch: Stopwatch) -> Measured:
    """Adapt a model and measure it before and after.

    Args:
        prepared: The run.
        compute: Device and precision.
        watch: Adds up the seconds of each stage.

    Returns:
        The run's numbers; the trained update is in the run's folder.

    Raises:
        NonFiniteLossError: If the training loss became NaN or infinite.
    """
    config = prepared.config
    with watch.stage("load"):
        vlm = load_model(config.model, compute)
    with watch.stage("eval"), compute.autocast():
        asked = list(_ask_all_untouched(prepared, vlm, compute))
    columns = _adapt(prepared, vlm, compute, watch)
    with watch.stage("eval"), compute.autocast():
        after = [_ask(vlm, one, config) for one, _ in asked]
    tasks = [
        task
        for (one, before), outcome in zip(asked, after, strict=True)
        for task in task_results(one, before, outcome)
    ]
    items = [
        item_table(one, before, outcome)
        for (one, before), outcome in zip(asked, after, strict=True)
    ]
    return Measured(columns | _summary(tasks), tasks, pd.concat(items, ignore_index=True))


def _ask_all_untouched(
    prepared: PreparedRun, vlm: VisionLanguageModel, compute: Compute
) -> Iterator[tuple[EvaluationSet, Outcome]]:
    config = prepared.config
    with stage_bar("before", _n_items(prepared), "item") as advance:
        yield ask_untouched(vlm, prepared.target, config.data, "target", config, compute, advance)
        for name, data in prepared.controls.items():
            control = config.controls[name]
            yield ask_untouched(vlm, data, control, "control", config, compute, advance)


def _ask(vlm: VisionLanguageModel, asked: EvaluationSet, config: RunConfig) -> Outcome:
    with stage_bar(f"evaluate {asked.data.name}", len(asked.items), "item") as advance:
        return evaluate(vlm, asked, config.eval, advance)


def _n_items(prepared: PreparedRun) -> int:
    return sum(len(data.test.ids) for data in (prepared.target, *prepared.controls.values()))


def _adapt(
    prepared: PreparedRun, vlm: VisionLanguageModel, compute: Compute, watch: Stopwatch
) -> dict[str, Any]:
    """Train through all sessions, leave the merged model, write the update; return its size."""
    config = prepared.config
    with watch.stage("load"):
        images = _few_shot_images(prepared, vlm)
    columns: dict[str, Any] = {}
    update: dict[str, Tensor] = {}
    sessions = class_sessions(len(prepared.target.class_names), config.data.sessions)
    for number, classes in enumerate(sessions):
        session_images = _of_classes(images, classes)
        log.info("session %d: %d images of classes %s", number, len(session_images.ids), classes)
        method = build_method(config.method, config.loss)
        with watch.stage("importance"):
            loss = _loss(prepared, vlm, session_images)
            gradients = _gradients(method, vlm, loss, config, compute)
            method.attach(vlm, gradients, config.seed)
        columns |= count_parameters(vlm, _probe(prepared, vlm, session_images), compute)
        with watch.stage("train"):
            _train(method, vlm, loss, config, compute)
        prefix = f"session{number}." if len(sessions) > 1 else ""
        update |= {f"{prefix}{name}": tensor for name, tensor in method.update().items()}
        method.merge()
        vlm.requires_grad_(False).eval()
    _save_update(prepared, update)
    return columns


def _few_shot_images(prepared: PreparedRun, vlm: VisionLanguageModel) -> LabelledImages:
    source = prepared.target.train
    indices = few_shot_indices(source.labels, prepared.config.data.shots, prepared.config.seed)
    return decode(source, indices, vlm.resize)


def _of_classes(images: LabelledImages, classes: tuple[int, ...]) -> LabelledImages:
    chosen = torch.isin(images.labels, torch.tensor(classes)).nonzero().squeeze(1)
    ids = tuple(images.ids[row] for row in chosen.tolist())
    return LabelledImages(images.pixels[chosen], images.labels[chosen], ids)


def _loss(prepared: PreparedRun, vlm: VisionLanguageModel, images: LabelledImages) -> Loss:
    config, target = prepared.config, prepared.target
    items = multiple_choice_items(
        images, target.class_names, target.question, config.eval.n_options, config.seed
    )
    letters = config.data.scoring != "answers"
    return build_loss(
        config.loss, vlm, images, items, target.class_names, target.templates, letters
    )


def _probe(prepared: PreparedRun, vlm: VisionLanguageModel, images: LabelledImages) -> Loss:
    """Return the VQA loss of a single image: what can change it can change the metric."""
    one = LabelledImages(images.pixels[:1], images.labels[:1], images.ids[:1])
    target = prepared.target
    items = multiple_choice_items(
        one, target.class_names, target.question, prepared.config.eval.n_options, 0
    )
    return build_loss("lm", vlm, one, items, target.class_names, target.templates, letters=False)


def _gradients(
    method: Method, vlm: VisionLanguageModel, loss: Loss, config: RunConfig, compute: Compute
) -> dict[str, Tensor]:
    parameters = method.importance_parameters(vlm)
    if not parameters:
        return {}
    with stage_bar("importance", loss.n, "image") as advance:

        def loss_of(batch: Tensor) -> tuple[Tensor, int]:
            advance(len(batch))
            with compute.autocast():
                return loss(batch), len(batch)

        vlm.train()
        batches = torch.arange(loss.n).split(config.train.batch_size)
        gradients = mean_gradients(parameters, batches, loss_of)
        vlm.eval()
    return gradients


def _train(
    method: Method, vlm: VisionLanguageModel, loss: Loss, config: RunConfig, compute: Compute
) -> None:
    per_epoch = steps_per_epoch(loss.n, config.train)
    losses: list[float] = []
    with (
        stage_bar("train", config.train.epochs * per_epoch, "step") as advance,
        _checkpointing(vlm, config.train.gradient_checkpointing),
    ):

        def on_step(value: float) -> None:
            advance(1)
            losses.append(value)
            if len(losses) % per_epoch == 0:
                mean = sum(losses[-per_epoch:]) / per_epoch
                log.info("epoch %d: loss %.5f", len(losses) // per_epoch, mean)

        train(vlm, method, loss, config.train, compute, config.seed, on_step)


@contextmanager
def _checkpointing(vlm: VisionLanguageModel, wanted: bool) -> Iterator[None]:
    """Recompute activations in the backward pass, where wanted."""
    if wanted:
        vlm.llava.gradient_checkpointing_enable({"use_reentrant": False})
    yield
    if wanted:
        vlm.llava.gradient_checkpointing_disable()


def _save_update(prepared: PreparedRun, update: dict[str, Tensor]) -> None:
    if update:
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in update.items()}
        with replacing(prepared.folder.adapter_path) as temporary:
            save_file(tensors, temporary)


def _summary(tasks: list[TaskResult]) -> dict[str, Any]:
    """Return the run's headline numbers."""
    target = next(task for task in tasks if task.kind == "target" and task.metric == "accuracy")
    controls = [task for task in tasks if task.kind == "control" and task.metric == "accuracy"]
    return {
        "accuracy": target.value,
        "accuracy_before": target.value_before,
        "target_improvement": target_improvement(target.value_before, target.value),
        "control_change": control_change([(task.value_before, task.value) for task in controls]),
        "n_items": target.n,
    }
