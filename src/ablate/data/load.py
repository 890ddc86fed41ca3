"""From a data set's configuration to the data set, before any model is loaded."""

from ablate.config.errors import ConfigError
from ablate.config.schema import DigitsData, FewShotData, ImageFolderData, ShapesData
from ablate.data.few_shot import check_shots, class_sessions
from ablate.data.types import ImageClassification


def load_data(config: FewShotData, trained_on: bool = True) -> ImageClassification:
    """Load a data set and check that it can give what the configuration asks of it.

    Args:
        config: One data set's configuration.
        trained_on: Check that there are enough images for the shots; a control needs none.

    Returns:
        The data set, its images not yet decoded.

    Raises:
        ConfigError: If the data are missing or broken, or too few for the shots or sessions.
    """
    data = _load(config)
    n_classes = len(data.class_names)
    if n_classes < 2:
        raise ConfigError(f"Data set '{data.name}' has {n_classes} class; at least 2 are needed.")
    if not trained_on:
        return data
    check_shots(data.train.labels, config.shots, dict(enumerate(data.class_names)))
    class_sessions(n_classes, config.sessions)
    return data


def _load(config: FewShotData) -> ImageClassification:
    # Imported where needed: scikit-learn is optional and `datasets` takes a second to import.
    match config:
        case ShapesData():
            from ablate.data.shapes import load_shapes

            return load_shapes(config)
        case DigitsData():
            from ablate.data.digits import load_digits

            return load_digits(config)
        case ImageFolderData():
            from ablate.data.image_folder import load_image_folder

            return load_image_folder(config)
