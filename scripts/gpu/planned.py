"""What `ablate plan` says of the same work, from a model without weights."""

import torch

from ablate.config.schema import EvalConfig, RunConfig
from ablate.data.types import ImageClassification
from ablate.evaluation.task import Task
from ablate.models.compute import Compute
from ablate.models.skeleton import without_content
from ablate.models.vlm import VisionLanguageModel
from ablate.pricing.evaluation import TaskPrice, price_task
from ablate.pricing.training import StagePrice, price_stage
from gpu.runs import stage_of


def stage_price(
    config: RunConfig, data: ImageClassification, vlm: VisionLanguageModel, compute: Compute
) -> StagePrice:
    """Price the training of a run."""
    return price_stage(
        stage_of(config, data), without_content(vlm), _planning(compute), config.seed
    )


def task_price(
    task: Task, config: EvalConfig, vlm: VisionLanguageModel, compute: Compute
) -> TaskPrice:
    """Price the answers to a task."""
    return price_task(task, without_content(vlm), config, _planning(compute))


def _planning(compute: Compute) -> Compute:
    return Compute(torch.device("cpu"), compute.precision)
