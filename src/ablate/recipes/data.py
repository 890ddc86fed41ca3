"""From the configuration of data to the data, before any model is loaded."""

from ablate.config.errors import ConfigError
from ablate.config.schema import (
    ChoicesData,
    DigitsData,
    FewShotData,
    HubData,
    ImageFolderData,
    InstructionDataConfig,
    LlavaJsonData,
    ShapesData,
    ShapesInstructData,
    YesNoData,
)
from ablate.data.few_shot import check_session_shots, class_sessions
from ablate.data.instructions.llava_json import load_llava_json
from ablate.data.types import ImageClassification, ImageQuestions, InstructionData
from ablate.world.conversations import load_shapes_mix
from ablate.world.source import load_shapes


def load_data(
    config: FewShotData, trained_on: bool = True, key: str = "data"
) -> ImageClassification:
    """Load a data set and check that it can give what the configuration asks of it.

    Args:
        config: One data set's configuration.
        trained_on: Check that there are enough images for the shots; a control needs none.
        key: Where it is configured, for messages.

    Returns:
        The data set, its images not yet decoded.

    Raises:
        ConfigError: If the data are missing or broken, or too few for the shots or sessions, or do not have the listed
            classes.
    """
    data = _load(config, key)
    n_classes = len(data.class_names)
    if n_classes < 2 and not isinstance(data, ImageQuestions):
        raise ConfigError(f"Data set '{data.name}' has {n_classes} class; at least 2 are needed.")
    if not trained_on:
        return data
    parts, listed = data.session_parts, config.session_classes
    sessions = class_sessions(parts.names, config.sessions, listed)
    check_session_shots(parts, sessions, config.shots, config.shots_per)
    left_out = set(range(len(parts.names))) - {one for session in sessions for one in session}
    if left_out and data.groups is None:
        raise ConfigError(
            f"data.session_classes leaves out class '{parts.names[min(left_out)]}', which would be tested but never"
            " trained on. Add it to a session."
        )
    return data


def _load(config: FewShotData, key: str) -> ImageClassification:
    # Imported where needed: scikit-learn is optional and `datasets` takes a second to import.
    match config:
        case ShapesData():
            return load_shapes(config)
        case DigitsData():
            from ablate.data.sources.digits import load_digits

            return load_digits(config)
        case ImageFolderData():
            from ablate.data.sources.image_folder import load_image_folder

            return load_image_folder(config)
        case HubData():
            from ablate.data.sources.hub import load_hub

            return load_hub(config, key)
        case ChoicesData() | YesNoData():
            from ablate.data.sources.questions import load_questions

            return load_questions(config, key)


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
