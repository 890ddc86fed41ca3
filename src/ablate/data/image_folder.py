"""Any folder of class folders as a data set."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from datasets import ClassLabel, Dataset, Features, Value
from datasets import Image as ImageFeature
from PIL import Image

from ablate.config.errors import ConfigError, unknown
from ablate.config.schema import ImageFolderData
from ablate.data.decoding import UNREADABLE, read_rgb
from ablate.data.few_shot import stratified_split
from ablate.data.types import ImageClassification

_TRAIN = "train"
_TEST_PARTS = ("test", "val", "validation")
_SYSTEM_FILES = {"Thumbs.db", "desktop.ini"}


@dataclass(frozen=True)
class _Images:
    """One split, as a table of files and labels of the `datasets` library."""

    table: Dataset

    @property
    def labels(self) -> Sequence[int]:
        return list(self.table["label"])

    @property
    def ids(self) -> Sequence[str]:
        return list(self.table["id"])

    def images(self, indices: Sequence[int]) -> list[Image.Image]:
        rows = [self.table[index] for index in indices]
        return [read_rgb(Path(row["image"]["path"]), row["id"]) for row in rows]


def load_image_folder(config: ImageFolderData) -> ImageClassification:
    """Read a folder of class folders, or of `train` and `test` parts that hold class folders.

    A folder counts as divided into parts when it has a folder `train` that holds folders and no
    files; its test part is `test`, else `val`, else `validation`. Without a test part,
    `test_fraction` of every class is held out, drawn by `split_seed`.

    The files are listed here and not by `load_dataset("imagefolder")`, which guesses parts from
    `train` or `test` in any file's or folder's name: one image called `test_1.png` or a
    class folder called `train` makes it drop all other images without a word (datasets 5.2). The
    table is held in memory, so no cache can be out of date or shared by two processes.

    Args:
        config: Where the folder is and how it is read.

    Returns:
        The data set; classes in the order of their folders' names, every file opened once to see
        that it is an image.

    Raises:
        ConfigError: If the folder is missing or holds anything but at least two classes of images.
    """
    root = Path(config.path).expanduser()
    if not root.is_dir():
        what = "is a file, not a folder" if root.exists() else "does not exist"
        raise ConfigError(f"data.path='{config.path}' {what}. Set data.path to a folder of images.")
    parts = _parts(root)
    files = {part: _class_files(root, folder) for part, folder in parts.items()}
    folders = sorted({name for classes in files.values() for name in classes})
    if len(folders) < 2:
        raise ConfigError(
            f"data.path='{config.path}' holds {len(folders)} class folder(s)"
            f"{''.join(f' ({name})' for name in folders)}; at least 2 are needed, one per class."
        )
    names = _readable_names(folders, config.class_names)
    rows = {
        part: [(path, folders.index(name)) for name, paths in classes.items() for path in paths]
        for part, classes in files.items()
    }
    if "test" in rows and not rows["test"]:
        raise ConfigError(f"'{parts['test'].name}' in '{root}' holds no images to test on.")
    if "test" not in rows:
        rows = _held_out(rows[_TRAIN], folders, config)
    for path in (path for part in rows.values() for path, _ in part):
        _check_image(root, path)
    return ImageClassification(
        name=config.name,
        class_names=names,
        question=config.question,
        templates=config.templates,
        train=_Images(_table(root, rows[_TRAIN], names)),
        test=_Images(_table(root, rows["test"], names)),
        fingerprint=_fingerprint(root, rows, names),
    )


def _parts(root: Path) -> dict[str, Path]:
    """Find the folders that hold the class folders, by part."""
    train = root / _TRAIN
    inside = _visible(train) if train.is_dir() else []
    if not inside or not all(entry.is_dir() for entry in inside):
        return {_TRAIN: root}
    for entry in _visible(root):
        if entry.name not in (_TRAIN, *_TEST_PARTS):
            raise ConfigError(
                f"'{entry.name}' in '{root}' stands beside the folder 'train', where only"
                f" {', '.join(_TEST_PARTS)} are read. Move it out of the data."
            )
    test = [root / name for name in _TEST_PARTS if (root / name).is_dir()]
    return {_TRAIN: train, **({"test": test[0]} if test else {})}


def _visible(folder: Path) -> list[Path]:
    """List a folder by name, without hidden files and what file managers leave behind."""
    entries = (e for e in folder.iterdir() if e.name not in _SYSTEM_FILES)
    return sorted((e for e in entries if not e.name.startswith(".")), key=lambda e: e.name)


def _class_files(root: Path, folder: Path) -> dict[str, list[Path]]:
    """List the files of every class folder in `folder`."""
    classes = {}
    for entry in _visible(folder):
        if not entry.is_dir():
            raise ConfigError(
                f"'{_relative(root, entry)}' in '{root}' lies in no class folder."
                " Move it into the folder of its class, or out of the data."
            )
        files = _visible(entry)
        nested = next((file for file in files if file.is_dir()), None)
        if nested is not None:
            raise ConfigError(
                f"'{_relative(root, nested)}' in '{root}' is a folder inside a class folder."
                " Put the images directly into the class folder."
            )
        classes[entry.name] = files
    return classes


def _readable_names(folders: Sequence[str], given: dict[str, str]) -> tuple[str, ...]:
    """Name every class folder; the names are options of one question, so all differ."""
    for folder in given:
        if folder not in folders:
            raise unknown("class folder in data.class_names", folder, folders)
    seen: dict[str, str] = {}
    for folder in folders:
        name = given.get(folder, folder.replace("_", " ").replace("-", " ").strip())
        if name in seen:
            raise ConfigError(
                f"Class folders '{seen[name]}' and '{folder}' are both called '{name}'."
                " Give one another name in data.class_names."
            )
        seen[name] = folder
    return tuple(seen)


def _held_out(
    rows: list[tuple[Path, int]], folders: Sequence[str], config: ImageFolderData
) -> dict[str, list[tuple[Path, int]]]:
    """Divide the images of a folder that has no test part."""
    labels = [label for _, label in rows]
    for label, folder in enumerate(folders):
        n = labels.count(label)
        if n < 2:
            raise ConfigError(
                f"Class folder '{folder}' holds {n} image{'s' * (n == 0)}; at least 2 are needed,"
                " one to train on and one to test on."
            )
    train, test = stratified_split(labels, config.test_fraction, config.split_seed)
    return {_TRAIN: [rows[i] for i in train], "test": [rows[i] for i in test]}


def _check_image(root: Path, path: Path) -> None:
    try:
        with Image.open(path) as image:
            image.verify()
    except UNREADABLE as error:
        raise ConfigError(
            f"'{_relative(root, path)}' in '{root}' is no image that can be read."
            " Remove or replace it."
        ) from error


def _table(root: Path, rows: Sequence[tuple[Path, int]], names: Sequence[str]) -> Dataset:
    columns = {
        "id": [_relative(root, path) for path, _ in rows],
        "image": [str(path) for path, _ in rows],
        "label": [label for _, label in rows],
    }
    features = Features(
        id=Value("string"), image=ImageFeature(decode=False), label=ClassLabel(names=list(names))
    )
    return Dataset.from_dict(columns, features=features)


def _fingerprint(root: Path, rows: dict[str, list[tuple[Path, int]]], names: Sequence[str]) -> str:
    """Hash which files of which size stand in which part, and the class names."""
    lines = sorted(
        f"{part}/{label}/{_relative(root, path)}/{path.stat().st_size}"
        for part, files in rows.items()
        for path, label in files
    )
    return hashlib.sha256("\n".join([*names, *lines]).encode()).hexdigest()


def _relative(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()
