"""Folders of images that would hang a run, stop it midway or falsify its numbers: one line, exit code 2, no row."""

import os
import shutil
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image


@pytest.fixture(autouse=True)
def no_hang() -> Iterator[None]:
    signal.alarm(120)
    yield
    signal.alarm(0)


def fill(folder: Path, n: int, suffix: str = "png") -> None:
    """Write images that differ from all others."""
    folder.mkdir(parents=True, exist_ok=True)
    seed = list(os.fsencode(folder))
    for i in range(n):
        noise = np.random.default_rng([*seed, i]).integers(0, 255, (48, 48, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / f"{i}.{suffix}")


def divided(root: Path) -> None:
    """Divide the folder into parts with the same classes."""
    for name in ("cat", "dog"):
        shutil.rmtree(root / name)
        fill(root / "train" / name, 4)
        fill(root / "test" / name, 2)


def parts_called(train: str, test: str) -> Callable[[Path], None]:
    def mutate(root: Path) -> None:
        divided(root)
        (root / "train").rename(root / f"{train} ")
        (root / "test").rename(root / test)
        (root / f"{train} ").rename(root / train)

    return mutate


def one_level_deeper(root: Path) -> None:
    (root / "images").mkdir()
    for name in ("cat", "dog"):
        (root / name).rename(root / "images" / name)


def extra(path: str, part: str = "") -> Callable[[Path], None]:
    """Add a class folder to the folder, or to one of its parts."""

    def mutate(root: Path) -> None:
        if part:
            divided(root)
        fill(root / part / path, 4)

    return mutate


def a_file(path: str, content: bytes) -> Callable[[Path], object]:
    return lambda root: (root / path).write_bytes(content)


def cut_off(suffix: str, share: float) -> Callable[[Path], None]:
    def mutate(root: Path) -> None:
        fill(root / "cat", 1, suffix)
        file = root / "cat" / f"0.{suffix}"
        file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])

    return mutate


def a_socket(root: Path) -> None:
    # A socket's path has to be short.
    here = Path.cwd()
    os.chdir(root / "dog")
    try:
        with socket.socket(socket.AF_UNIX) as opened:
            opened.bind("s.png")
    finally:
        os.chdir(here)


def shared(root: Path) -> None:
    divided(root)
    shutil.copy(root / "train" / "dog" / "1.png", root / "test" / "cat" / "other.png")


def not_tested(root: Path) -> None:
    divided(root)
    fill(root / "train" / "eel", 4)


def not_trained(root: Path) -> None:
    divided(root)
    fill(root / "test" / "eel", 4)


def stray_in_part(root: Path) -> None:
    divided(root)
    (root / "train" / "labels.csv").write_text("a,b\n")


def test_part_is_a_file(root: Path) -> None:
    fill(root / "train" / "cat", 4)
    fill(root / "train" / "dog", 4)
    for name in ("cat", "dog"):
        shutil.rmtree(root / name)
    (root / "test").write_text("")


test_part_is_a_file.__test__ = False  # type: ignore[attr-defined]

CASES: dict[str, tuple[Callable[[Path], object], str]] = {
    # wrong numbers
    "class not tested": (not_tested, "'eel' has images in 'train' but none in 'test'"),
    "class not trained": (not_trained, "'eel' has images in 'test' but none in 'train'"),
    "class with no test image": (
        lambda root: (not_tested(root), (root / "test" / "eel").mkdir()),
        "Add images to 'test/eel'",
    ),
    "names equal but for case": (extra("Cat"), "'Cat' and 'cat' are both called"),
    "readable names equal but for case": (
        extra("DOG-", "train"),
        "'DOG-' and 'dog' are both called 'dog' but for case",
    ),
    "names equal but for width": (
        extra("\uff43at"),
        "both called '\uff43at' but for case and spaces",
    ),
    "no readable name": (extra("_"), "Class folder '_' is called ''"),
    "a name that stands for an image": (extra("<image>"), "'<image>', which a model"),
    "test item trained on": (
        shared,
        "'test/cat/other.png' in '{root}' has the same content as 'train/dog/1.png' (1 of 5",
    ),
    "class of copies": (
        lambda root: (root / "kitten").symlink_to(root / "cat"),
        "'kitten' holds 0 images besides 4 with a content that was there before",
    ),
    # broken images
    "text": (a_file("cat/note.txt", b"hello"), "cat/note.txt' cannot be decoded"),
    "text called an image": (a_file("cat/9.jpg", b"hello\n"), "cat/9.jpg' cannot be decoded"),
    "empty": (a_file("dog/9.png", b""), "dog/9.png' cannot be decoded"),
    "PostScript": (
        a_file("dog/9.png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n"),
        "dog/9.png' cannot be decoded (PostScript",
    ),
    **{
        f"{suffix} without its last {1 - share:.0%}": (
            cut_off(suffix, share),
            f"cat/0.{suffix}' cannot be decoded",
        )
        for suffix in ("jpg", "png", "webp", "bmp", "gif", "tiff")
        for share in (0.5, 0.9)
    },
    # not a file
    "pipe": (lambda root: os.mkfifo(root / "cat" / "9.png"), "cat/9.png' is not a regular file"),
    "socket": (a_socket, "dog/s.png' is not a regular file"),
    "device": (
        lambda root: (root / "cat" / "9.png").symlink_to("/dev/zero"),
        "cat/9.png' is not a regular file",
    ),
    "link to nothing": (
        lambda root: (root / "cat" / "9.png").symlink_to("gone.png"),
        "cat/9.png' cannot be read (No such file or directory)",
    ),
    "link to itself": (
        lambda root: (root / "cat" / "9.png").symlink_to("9.png"),
        "cat/9.png' cannot be read (Too many levels of symbolic links)",
    ),
    "folders in a circle": (
        lambda root: (root / "cat" / "again").symlink_to(root),
        "'cat/again' in '{root}' is a folder inside a class folder",
    ),
    "class folder in a circle": (
        lambda root: (root / "again").symlink_to(root),
        "'again' in '{root}' holds folders, not images",
    ),
    "pipe beside the classes": (lambda root: os.mkfifo(root / "p"), "'p' in '{root}' is not in"),
    "no UTF-8": (
        lambda root: (root / "cat" / "0.png").rename(root / "cat" / os.fsdecode(b"\xe9.png")),
        r"'cat/\udce9.png' in '{root}' has a name that is not UTF-8. Rename it.",
    ),
    "class no UTF-8": (extra(os.fsdecode(b"\xff")), r"'\udcff' in '{root}' has a name that is not"),
    "escape sequence": (extra("a\x1b[2J\nb/deep"), r"a\x1b[2J\nb' in '{root}' holds folders"),
    # layout
    **{
        f"parts called {train} and {test}": (parts_called(train, test), message)
        for train, test, message in [
            ("Train", "Test", "'Test' in '{root}' holds folders, not images."),
            ("Train", "Test", "If it is meant as a part, rename it to 'test'."),
            ("TRAIN", "test", "If it is meant as a part, rename it to 'train'."),
            ("train", "Test", "'Test' in '{root}' is beside the folder 'train'"),
            ("train", "testing", "If it is meant as a part, rename it to 'test'."),
            ("training", "testing", "rename it to 'test'."),
            ("train", "valid", "rename it to 'val'."),
            ("train", "Validation", "rename it to 'validation'."),
        ]
    },
    "test part alone": (
        lambda root: (divided(root), shutil.rmtree(root / "train")),
        "'test' in '{root}' is a test part without a folder 'train' beside it",
    ),
    "test part a file": (test_part_is_a_file, "'test' in '{root}' is beside the folder"),
    "file in a part": (stray_in_part, "'train/labels.csv' in '{root}' is not in a class folder"),
    "one level deeper": (one_level_deeper, "set data.path='{root}/images'"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_folder_is_refused_in_one_line(case, ablate_run, capsys, tmp_path):
    root = tmp_path / "images of pets"
    fill(root / "cat", 4)
    fill(root / "dog", 4)
    mutate, fragment = CASES[case]
    mutate(root)
    code, outputs = ablate_run("data=imagefolder", f"data.path='{root}'", "data.shots=1")
    shown = capsys.readouterr()
    assert fragment.replace("{root}", str(root)) in shown.err
    assert code == 2
    assert shown.err.count("\n") == 1
    assert shown.err.rstrip("\n").isprintable()
    assert shown.out == ""
    assert not outputs.exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("path", ["cat/0.png", "cat"])
def test_what_may_not_be_read_is_named(path, ablate_run, capsys, tmp_path):
    fill(tmp_path / "data" / "cat", 4)
    fill(tmp_path / "data" / "dog", 4)
    (tmp_path / "data" / path).chmod(0)
    code, _ = ablate_run("data=imagefolder", f"data.path={tmp_path / 'data'}", "data.shots=1")
    (tmp_path / "data" / path).chmod(0o700)
    assert (code, capsys.readouterr().err.count("(Permission denied)")) == (2, 1)


def test_odd_names_that_can_be_shown_are_kept(tmp_path, ablate_run):
    for name in ("a\nb", "c\x1b[31m", "=1+1"):
        fill(tmp_path / "data" / name, 4)
    words = ["data=imagefolder", f"data.path={tmp_path / 'data'}", "data.shots=1"]
    code, outputs = ablate_run(*words, "seed=2147483647")
    assert code == 0
    assert pd.read_csv(outputs / "run" / "results.csv")["seed"].tolist() == [2147483647]
