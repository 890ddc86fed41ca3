"""Any folder of class folders as a data set."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from datasets import ClassLabel, Dataset, Features, Value
from datasets import Image as ImageFeature
from PIL import Image

from ablate.config.errors import ConfigError
from ablate.config.schema import ImageFolderData
from ablate.config.text import printable
from ablate.data.class_names import readable_names
from ablate.data.decoding import read_rgb
from ablate.data.few_shot import stratified_split
from ablate.data.image_files import digests
from ablate.data.sources.class_folders import (
    TRAIN,
    check_same_classes,
    class_files,
    find_parts,
    place,
    relative,
)
from ablate.data.types import ImageClassification


@dataclass(frozen=True)
class _File:
    """One image file.

    Attributes:
        path: Where it is.
        label: Its class index.
        digest: SHA-256 of its content.
    """

    path: Path
    label: int
    digest: str


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

    Without a test part, `test_fraction` of every class is held out, drawn by `split_seed`, and
    without a development part `development_fraction` of what is left, whichever is evaluated; files of
    equal content stand on one side of that split, so no run is tested on what it was trained on.
    Parts that the user made are refused if they share a file's content. The same picture in another
    encoding or size is not found.

    The files are listed here and not by `load_dataset("imagefolder")`, which guesses parts from
    `train` or `test` in any file's or folder's name: one image called `test_1.png` or a
    class folder called `train` makes it silently drop all other images (datasets 5.2). The
    table is held in memory, so no cache can be out of date or shared by two processes.

    Args:
        config: Where the folder is and how it is read.

    Returns:
        The data set; classes in the order of their folders' names, every file read and decoded once.

    Raises:
        ConfigError: If the folder is missing or holds anything but at least two classes of images.
    """
    root = Path(config.path).expanduser()
    given = printable(config.path)
    if not root.is_dir():
        what = "is a file, not a folder" if root.exists() else "does not exist"
        raise ConfigError(f"data.path='{given}' {what}. Set data.path to a folder of images.")
    found = find_parts(root)
    parts = {TRAIN: found[TRAIN]}
    if config.draw in found:
        parts["test"] = found[config.draw]
    listed = {part: class_files(root, folder) for part, folder in parts.items()}
    folders = sorted({name for classes in listed.values() for name in classes})
    if len(folders) < 2:
        raise ConfigError(
            f"data.path='{given}' holds {len(folders)} class folder(s)"
            f"{''.join(f' ({printable(name)})' for name in folders)};"
            " at least 2 are needed, one per class."
        )
    names = readable_names(folders, config.class_names)
    check_same_classes(parts, listed)
    files = {part: _read(classes, folders) for part, classes in listed.items()}
    if "test" in files:
        _check_apart(root, files[TRAIN], files["test"])
    for part, share in (
        ("test", config.test_fraction),
        ("development", config.development_fraction),
    ):
        if part not in found and share:
            files[TRAIN], held = _held_out(files[TRAIN], folders, share, config.split_seed)
            if config.draw == part:
                files["test"] = held
    if "test" not in files:
        raise ConfigError(
            f"data.draw is 'development', but data.path='{given}' has no such part. Fix:"
            " data.development_fraction=0.1, which holds it out of the training part, or data.draw=test."
        )
    return ImageClassification(
        name=config.name,
        class_names=names,
        question=config.question,
        templates=config.templates,
        train=_Images(_table(root, files[TRAIN], names)),
        test=_Images(_table(root, files["test"], names)),
        fingerprint=_fingerprint(root, files, names),
    )


def _read(classes: dict[str, list[Path]], folders: Sequence[str]) -> list[_File]:
    """Read every image of a part, class by class."""
    labelled = [(path, folders.index(name)) for name, paths in classes.items() for path in paths]
    paths = [path for path, _ in labelled]
    return [
        _File(path, label, digest)
        for (path, label), digest in zip(labelled, digests(paths), strict=True)
    ]


def _check_apart(root: Path, train: Sequence[_File], test: Sequence[_File]) -> None:
    """Refuse parts of which one holds a copy of the other's images."""
    trained = {file.digest: file for file in train}
    copies = [file for file in test if file.digest in trained]
    if copies:
        first = trained[copies[0].digest]
        raise ConfigError(
            f"{place(root, copies[0].path)} has the same content as"
            f" '{printable(relative(root, first.path))}' ({len(copies)} of {len(test)} test images have"
            " a copy in the training part): a run would train on its own test items."
            " Remove one of each pair."
        )


def _held_out(
    files: Sequence[_File], folders: Sequence[str], share: float, seed: int
) -> tuple[list[_File], list[_File]]:
    """Hold a share of every class out: what stays, and what is held out; copies follow the first of their content."""
    first: dict[str, _File] = {}
    for file in files:
        first.setdefault(file.digest, file)
    labels = [file.label for file in first.values()]
    for label, folder in enumerate(folders):
        n = labels.count(label)
        if n < 2:
            n_copies = sum(file.label == label for file in files) - n
            copies = f" besides {n_copies} with a content that was there before" if n_copies else ""
            raise ConfigError(
                f"Class folder '{printable(folder)}' holds {n} image{'s' * (n == 0)}{copies};"
                " at least 2 are needed, one to train on and one to test on."
            )
    _, test = stratified_split(labels, share, seed)
    contents = list(first)
    held = {contents[index] for index in test}
    return (
        [file for file in files if file.digest not in held],
        [file for file in files if file.digest in held],
    )


def _table(root: Path, files: Sequence[_File], names: Sequence[str]) -> Dataset:
    columns = {
        "id": [relative(root, file.path) for file in files],
        "image": [str(file.path) for file in files],
        "label": [file.label for file in files],
    }
    features = Features(
        id=Value("string"), image=ImageFeature(decode=False), label=ClassLabel(names=list(names))
    )
    return Dataset.from_dict(columns, features=features)


def _fingerprint(root: Path, files: dict[str, list[_File]], names: Sequence[str]) -> str:
    """Hash the files, their contents and their parts, and the class names."""
    lines = sorted(
        (part, file.label, relative(root, file.path), file.digest)
        for part, found in files.items()
        for file in found
    )
    return hashlib.sha256(repr((names, lines)).encode()).hexdigest()
