"""What answering a task takes, whoever has trained the model."""

from dataclasses import dataclass

from ablate.config.schema import EvalConfig
from ablate.evaluation.progress import Progress
from ablate.evaluation.task import Task
from ablate.models.compute import Compute
from ablate.models.skeleton import without_content
from ablate.models.vlm import VisionLanguageModel
from ablate.pricing.dry import DryModel

# Tasks of more batches are counted on some of them: so many, and so many more.
_FEW, _MORE = 1, 4


@dataclass(frozen=True)
class TaskPrice:
    """What one evaluation of a task takes.

    Attributes:
        flops: Operations.
        read_bytes: Weights read for one token each, where answers are generated.
        peak_bytes: The most that is held at once, weights included.
    """

    flops: int
    read_bytes: int
    peak_bytes: int


def price_task(
    task: Task, skeleton: VisionLanguageModel, config: EvalConfig, compute: Compute
) -> TaskPrice:
    """Answer a task without a number in it.

    Args:
        task: The task.
        skeleton: The model on `meta`, without an adapter; it is left as it is.
        config: Items per forward pass, longest answer.
        compute: The CPU, and the precision that is planned with.

    Raises:
        NotImplementedError: If the task cannot say.
    """
    n_batches = -(-task.n // config.batch_size)
    if n_batches <= _FEW + _MORE:
        return _answered(task, range(task.n), skeleton, config, compute)
    few, more = (
        _answered(task, _rows(task.n, config.batch_size, n), skeleton, config, compute)
        for n in (_FEW, _FEW + _MORE)
    )
    # What is done once, such as embedding the classes, does not grow with the items.
    further = (n_batches - _FEW - _MORE) / _MORE
    return TaskPrice(
        flops=int(more.flops + (more.flops - few.flops) * further),
        read_bytes=int(more.read_bytes + (more.read_bytes - few.read_bytes) * further),
        peak_bytes=max(few.peak_bytes, more.peak_bytes),
    )


def _rows(n: int, batch_size: int, n_batches: int) -> list[int]:
    """Choose whole batches, spread over a task's items, whose neighbours may share an image."""
    starts = [round(i * (n - batch_size) / max(n_batches - 1, 1)) for i in range(n_batches)]
    return [row for start in starts for row in range(start, start + batch_size)]


def _answered(
    task: Task,
    rows: range | list[int],
    skeleton: VisionLanguageModel,
    config: EvalConfig,
    compute: Compute,
) -> TaskPrice:
    dry = DryModel(without_content(skeleton))
    sample = task.sample(rows)
    with dry.metered() as meter, compute.autocast():
        sample.evaluate(dry.vlm, config, Progress())
    return TaskPrice(meter.flops, meter.read_bytes, meter.peak_bytes)
