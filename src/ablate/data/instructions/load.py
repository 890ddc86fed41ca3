"""From the configuration of instruction data to the data, before any model is loaded."""

from ablate.config.schema import InstructionDataConfig, LlavaJsonData, ShapesInstructData
from ablate.data.instructions.llava_json import load_llava_json
from ablate.data.instructions.shapes_mix import load_shapes_mix
from ablate.data.types import InstructionData


def load_instructions(config: InstructionDataConfig) -> InstructionData:
    """Load instruction data and check all that can be checked without decoding an image.

    Args:
        config: One data set's configuration.

    Returns:
        At least one conversation; no image is drawn or decoded yet.

    Raises:
        ConfigError: If the data are missing or broken.
    """
    match config:
        case ShapesInstructData():
            return load_shapes_mix(config)
        case LlavaJsonData():
            return load_llava_json(config)
