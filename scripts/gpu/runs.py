"""Runs as ablate composes them, on a model that is in memory already."""

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir
from torch import Tensor

from ablate.config.folder import config_folder
from ablate.config.reading import read_run_config
from ablate.config.schema import RunConfig
from ablate.data.types import ImageClassification
from ablate.evaluation.tasks.classification import ClassificationTask
from ablate.methods.base import Method, Session
from ablate.models.compute import Compute
from ablate.models.parts import part_of
from ablate.models.vlm import VisionLanguageModel
from ablate.recipes.few_shot import stages
from ablate.telemetry.cost import Stopwatch
from ablate.telemetry.interruption import SafePoints
from ablate.training.importance import ImportanceCache, mean_gradients_of
from ablate.training.losses import Loss
from ablate.training.saving import Saving
from ablate.training.stage import Stage, run_stage
from gpu.model import CLASSES

_NOTHING_SAVED = Saving(SafePoints(None, None), lambda _state: None, None, at_end=False)


def run_config(*words: str) -> RunConfig:
    """Compose a run on LLaVA-1.5 by the paper's recipe."""
    given = ["model=llava-1.5-7b", "train=paper", *words]
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        return read_run_config(compose("config", overrides=given))


def shots_of(batch_size: int, n_batches: int) -> int:
    """Return how many images of a class make so many batches."""
    return math.ceil(n_batches * batch_size / len(CLASSES))


def task_of(
    config: RunConfig, data: ImageClassification, has_clip: bool = False
) -> ClassificationTask:
    """Return the questions about the test images; a new one decodes them anew."""
    return ClassificationTask(data, config.data, "target", config.eval, has_clip)  # type: ignore[arg-type]  # few-shot data


def stage_of(config: RunConfig, data: ImageClassification) -> Stage:
    """Return the run's only stage."""
    (stage,) = stages(config, config.data, data)  # type: ignore[arg-type]  # few-shot data
    return stage


@dataclass(frozen=True)
class Trained:
    """What a stage left.

    Attributes:
        update: Tensors by name.
        seconds: Seconds by stage.
    """

    update: dict[str, Tensor]
    seconds: dict[str, float]


def train(
    config: RunConfig,
    data: ImageClassification,
    vlm: VisionLanguageModel,
    compute: Compute,
    cache: Path,
) -> Trained:
    """Measure importance, attach, audit, train and merge, as a run does."""
    watch = Stopwatch(compute.device)
    done = run_stage(
        stage_of(config, data),
        vlm,
        compute,
        config.seed,
        watch,
        ImportanceCache(cache, lambda names: repr((config.loss, compute, names))),
        lambda _table: None,
        _NOTHING_SAVED,
    )
    return Trained(done.update, dict(watch.seconds))


def attached(
    config: RunConfig, data: ImageClassification, vlm: VisionLanguageModel, compute: Compute
) -> tuple[Method, Loss]:
    """Make a run's parameters trainable, and return what `Trainer` takes."""
    stage = stage_of(config, data)
    loss = stage.examples(vlm).loss
    parameters = stage.method.importance_parameters(vlm)
    gradients: dict[str, Tensor] = {}
    if parameters:
        found = mean_gradients_of(parameters, vlm, loss, stage.train, compute, config.seed)
        gradients = {name: tensor.to(compute.device) for name, tensor in found.items()}

    def autocast_loss(indices: Tensor) -> Tensor:
        with compute.autocast():
            return loss(vlm, indices)

    session = Session(autocast_loss, loss.n, 2, gradients, config.seed)
    stage.method.attach(vlm, session)
    return stage.method, loss


class Kept:
    """The weights that runs may change, to put them back afterwards."""

    def __init__(self, vlm: VisionLanguageModel) -> None:
        """Copy image encoder and CLIP's projection to the CPU."""
        self._vlm = vlm
        self._weights = {
            name: tensor.detach().to("cpu", copy=True)
            for name, tensor in vlm.named_parameters()
            if part_of(name) in ("encoder", "visual_projection")
        }

    def changed(self) -> set[str]:
        """Return the names of the weights that are not as they were."""
        now = dict(self._vlm.named_parameters())
        return {n for n, kept in self._weights.items() if not torch.equal(now[n].cpu(), kept)}

    @torch.no_grad()
    def put_back(self) -> None:
        """Put them back, bit for bit."""
        now = dict(self._vlm.named_parameters())
        for name, kept in self._weights.items():
            now[name].copy_(kept)
        self._vlm.requires_grad_(False).eval()
