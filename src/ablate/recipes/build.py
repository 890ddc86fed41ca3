"""From a run's configuration to its stages."""

from ablate.config.schema import InstructionDataConfig, RunConfig
from ablate.data.types import ImageClassification, InstructionData
from ablate.methods.build import build_method
from ablate.recipes import few_shot, instructions
from ablate.training.stage import Stage
from ablate.training.trainer import steps_per_epoch

TrainingData = ImageClassification | InstructionData


def stages_of(config: RunConfig, data: TrainingData | None) -> list[Stage]:
    """Return the stages in which a run trains its model, in their order.

    Args:
        config: The run.
        data: What it is trained on; None where stages are only replayed.
    """
    if isinstance(config.data, InstructionDataConfig):
        conversations = data if isinstance(data, InstructionData) else None
        return instructions.stages(config, config.data, conversations)
    target = data if isinstance(data, ImageClassification) else None
    return few_shot.stages(config, config.data, target)


def check_steps(config: RunConfig, data: TrainingData) -> None:
    """Check that every training of a run's methods is long enough for them.

    Conversations without an answer within `data.max_tokens` are known only once they are tokenised; here all count.

    Raises:
        ConfigError: If one is not.
    """
    if isinstance(data, InstructionData) or isinstance(config.data, InstructionDataConfig):
        sizes = [len(data.conversations)] if isinstance(data, InstructionData) else []
    else:
        sizes = [len(rows) for rows in few_shot.session_rows(data, config.data, config.seed)]
    methods = {
        "method": config.method,
        "language": config.language,
        "projector": config.projector,
    }
    for key, method in methods.items():
        if method is None:
            continue
        built = build_method(method, config.loss, key)
        for n in sizes:
            built.check_steps(config.train.epochs * steps_per_epoch(n, config.train), key)
