"""From a run's configuration to its stages."""

from ablate.config.schema import InstructionDataConfig, RunConfig
from ablate.data.types import ImageClassification, InstructionData
from ablate.recipes import few_shot, instructions
from ablate.training.stage import Stage

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
