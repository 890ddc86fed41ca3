"""Small pictures of items, where their data are at hand: no model is loaded, nothing is downloaded."""

import base64
import warnings
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from pathlib import Path

from omegaconf import OmegaConf
from PIL import Image
from pydantic import TypeAdapter, ValidationError

from ablate.config.errors import ConfigError
from ablate.config.schema.data import (
    ChoicesData,
    DigitsData,
    FewShotData,
    HubData,
    ImageFolderData,
    ShapesData,
    YesNoData,
)
from ablate.config.schema.tasks import ShapesTask
from ablate.config.yaml_file import parse, read_text
from ablate.data.decoding import read_rgb
from ablate.data.image_files import below

_SIDE_PX = 112
_DATA: TypeAdapter[FewShotData] = TypeAdapter(FewShotData)
_SHAPES_TASK = TypeAdapter(ShapesTask)
Images = Callable[[str], Image.Image | None]


class Thumbnails:
    """The images that a run was evaluated on, found by its configuration.

    Procedural scenes are drawn again and digits are read from scikit-learn. Images in a folder are
    read as they are now, and only from below the folder that the configuration names. Images that
    are inside a table or on the hub are not looked up.
    """

    def __init__(self, config_file: Path) -> None:
        """Read where a run's images are.

        Args:
            config_file: The run's config.yaml; one that cannot be read has no images.
        """
        try:
            content = OmegaConf.to_container(parse(read_text(config_file), config_file))
        except ConfigError:
            content = None
        self._config = content if isinstance(content, dict) else {}
        self._images: dict[str, Images | None] = {}

    def of(self, task: str, cluster_id: str) -> str | None:
        """Return the image of an item as the text of a `data:` URL, a PNG of at most 112 px.

        Args:
            task: Name of the item's task.
            cluster_id: The image's name in items.parquet.

        Returns:
            None where the image is not at hand.
        """
        if task not in self._images:
            self._images[task] = self._find(task)
        images = self._images[task]
        if images is None:
            return None
        with warnings.catch_warnings():
            # Pillow warns of odd but readable files.
            warnings.simplefilter("ignore")
            try:
                image = images(cluster_id)
            except ConfigError:
                return None
        return None if image is None else _data_url(image)

    def _find(self, task: str) -> Images | None:
        try:
            for content in (self._config.get("data"), *_values(self._config.get("controls"))):
                if isinstance(content, Mapping) and content.get("name") == task:
                    return _images_of(_DATA.validate_python(content))
            suite = self._config.get("tasks")
            tasks = suite.get("tasks") if isinstance(suite, Mapping) else None
            content = tasks.get(task) if isinstance(tasks, Mapping) else None
            if isinstance(content, Mapping) and content.get("source") == "shapes":
                return _of_scenes(task, _SHAPES_TASK.validate_python(content))
        except (ConfigError, ValidationError):
            # The configuration of another version, or data that are not installed.
            return None
        return None


def _values(content: object) -> Sequence[object]:
    return list(content.values()) if isinstance(content, Mapping) else []


def _images_of(config: FewShotData) -> Images | None:
    # Imported where needed: the first two take a second to import, and scikit-learn is optional.
    match config:
        case ShapesData():
            from ablate.world.source import ShapesSource

            source = ShapesSource(config.style, config.draw)
            return _by_id(source.ids, lambda row: source.images([row])[0])
        case DigitsData():
            from ablate.data.sources.digits import load_digits

            digits = load_digits(config).test
            return _by_id(digits.ids, lambda row: digits.images([row])[0])
        case ImageFolderData():
            return _in_folder(Path(config.path).expanduser())
        case HubData() | ChoicesData() | YesNoData():
            return None


def _by_id(ids: Sequence[str], draw: Callable[[int], Image.Image]) -> Images:
    row_of = {id_: row for row, id_ in enumerate(ids)}

    def image(id_: str) -> Image.Image | None:
        return draw(row_of[id_]) if id_ in row_of else None

    return image


def _of_scenes(task: str, config: ShapesTask) -> Images:
    from ablate.world.tasks import task_items

    items, images = task_items(task, config)
    return _by_id([item.id for item in items], images.__getitem__)


def _in_folder(folder: Path) -> Images:
    def image(name: str) -> Image.Image | None:
        try:
            file = below(folder, name)
        except ValueError:
            return None
        return read_rgb(file, name)

    return image


def _data_url(image: Image.Image) -> str:
    image.thumbnail((_SIDE_PX, _SIDE_PX))
    content = BytesIO()
    image.save(content, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode("ascii")
