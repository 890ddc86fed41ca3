"""How a folder of images is laid out: its parts, its class folders, and what the classes are called."""

from pathlib import Path

from ablate.config.errors import ConfigError
from ablate.config.text import is_text, printable

TRAIN = "train"
TEST_PARTS = ("test", "val", "validation")
_SYSTEM_FILES = {"Thumbs.db", "desktop.ini"}
# What people call a part, in any case, and what it has to be called here.
_MEANT = {
    "train": "train",
    "training": "train",
    "test": "test",
    "testing": "test",
    "eval": "test",
    "val": "val",
    "valid": "val",
    "validation": "validation",
}


def find_parts(root: Path) -> dict[str, Path]:
    """Find the folders that hold the class folders.

    A folder counts as divided into parts when it has a folder `train` that holds folders; its test
    part is `test`, else `val`, else `validation`. Beside a `test` part, `val` or `validation` is the
    development part.

    Returns:
        Folder by part: `train`, which is `root` itself where it is not divided, and `test` and `development` if there
        are such.

    Raises:
        ConfigError: If there is anything else beside the parts.
    """
    train = root / TRAIN
    if not train.is_dir() or not any(entry.is_dir() for entry in _visible(root, train)):
        return {TRAIN: root}
    for entry in _visible(root, root):
        if entry.name not in (TRAIN, *TEST_PARTS) or not entry.is_dir():
            raise ConfigError(
                f"{place(root, entry)} is beside the folder 'train', where only the folders"
                f" {', '.join(TEST_PARTS)} are read. {_rename(entry) or 'Move it out of the data.'}"
            )
    others = [root / name for name in TEST_PARTS if (root / name).is_dir()]
    return {TRAIN: train, **dict(zip(("test", "development"), others, strict=False))}


def class_files(root: Path, folder: Path) -> dict[str, list[Path]]:
    """List the files of every class folder.

    Args:
        root: The folder that the user named, for messages.
        folder: `root`, or the part of it that holds the class folders.

    Returns:
        Files by class folder, both by name; none of them is a folder.

    Raises:
        ConfigError: If a file is outside the class folders, or a folder is inside one.
    """
    classes = {}
    for entry in _visible(root, folder):
        if not entry.is_dir():
            raise ConfigError(
                f"{place(root, entry)} is not in a class folder."
                " Move it into the folder of its class, or out of the data."
            )
        inside = _visible(root, entry)
        nested = [file for file in inside if file.is_dir()]
        if nested:
            raise _nested(root, folder, entry, nested[0], len(nested) == len(inside))
        classes[entry.name] = inside
    return classes


def check_same_classes(parts: dict[str, Path], files: dict[str, dict[str, list[Path]]]) -> None:
    """Check that every class can be trained on and tested.

    Args:
        parts: What `find_parts` returned.
        files: What `class_files` returned for each part.

    Raises:
        ConfigError: If a class has images in one part alone.
    """
    if "test" not in parts:
        return
    present = {part: {n for n, found in files[part].items() if found} for part in parts}
    if not present["test"]:
        raise ConfigError(
            f"{place(parts['test'].parent, parts['test'])} holds no images to test on."
        )
    for part, other in ((TRAIN, "test"), ("test", TRAIN)):
        for name in sorted(present[part] - present[other]):
            raise ConfigError(
                f"Class folder '{printable(name)}' has images in '{parts[part].name}' but none in"
                f" '{parts[other].name}': every class is trained on and tested. Add images to"
                f" '{parts[other].name}/{printable(name)}', or remove"
                f" '{parts[part].name}/{printable(name)}'."
            )


def relative(root: Path, path: Path) -> str:
    """Return the name of something in a folder: the id of an image."""
    return path.relative_to(root).as_posix()


def place(root: Path, path: Path) -> str:
    """Describe a path for a message."""
    return f"'{printable(relative(root, path))}' in '{printable(str(root))}'"


def _visible(root: Path, folder: Path) -> list[Path]:
    """List a folder by name, without hidden files and what file managers leave behind."""
    try:
        found = sorted(entry.name for entry in folder.iterdir())
    except OSError as error:
        raise ConfigError(
            f"Folder {place(root, folder)} cannot be read ({error.strerror})."
            " Make it readable, or move it out of the data."
        ) from error
    names = [name for name in found if not name.startswith(".") and name not in _SYSTEM_FILES]
    for name in names:
        # Such a name could not be written to any table.
        if not is_text(name):
            raise ConfigError(
                f"{place(root, folder / name)} has a name that is not UTF-8. Rename it."
            )
    return [folder / name for name in names]


def _nested(root: Path, folder: Path, entry: Path, nested: Path, only_folders: bool) -> ConfigError:
    """Say what to do about a folder where images are expected."""
    if not only_folders or folder != root:
        return ConfigError(
            f"{place(root, nested)} is a folder inside a class folder."
            " Put the images directly into the class folder."
        )
    if entry.name in TEST_PARTS:
        return ConfigError(
            f"{place(root, entry)} is a test part without a folder 'train' beside it."
            f" Add that, or set data.path='{printable(str(entry))}' to have it divided."
        )
    advice = _rename(entry) or (
        f"If those are the classes, set data.path='{printable(str(entry))}';"
        " else put the images directly into the class folders."
    )
    return ConfigError(f"{place(root, entry)} holds folders, not images. {advice}")


def _rename(entry: Path) -> str:
    """Advise on a folder that seems to be meant as a part."""
    meant = _MEANT.get(entry.name.casefold())
    return f"If it is meant as a part, rename it to '{meant}'." if meant else ""
