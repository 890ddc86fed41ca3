"""Tables and image files of tasks and instructions: what is wrong is one line and exit code 2, and no row."""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from tests.conftest import instead

from ablate.cli.run import run

Rows = list[dict[str, Any]]


@pytest.fixture(autouse=True)
def no_hang(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sys, "argv", ["ablate"])
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    signal.alarm(120)
    yield
    signal.alarm(0)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for n in range(4):
        Image.new("RGB", (32, 32), (n, n, n)).save(folder / f"{n}.jpg")
    (tmp_path / "secret.jpg").write_bytes((folder / "0.jpg").read_bytes())
    return folder


def refused(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    code = run([*words, f"output_dir={tmp_path / 'outputs'}"])
    shown = capsys.readouterr()
    assert code == 2
    assert shown.err.count("\n") == 1
    assert shown.err.rstrip("\n").isprintable()
    assert shown.out == ""
    assert not (tmp_path / "outputs").exists()
    return shown.err


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-200])


def pipe(file: Path) -> None:
    file.unlink(missing_ok=True)
    os.mkfifo(file)


def link(to: str) -> Callable[[Path], None]:
    def mutate(file: Path) -> None:
        file.unlink()
        file.symlink_to(file.parent / to)

    return mutate


# What becomes of the file 2.jpg, or the name that a row gives it; then what is said, for both kinds of data.
FILES: dict[str, tuple[Callable[[Path], object] | str, str]] = {
    "missing": (lambda file: file.unlink(), "image '2.jpg', which is not in '{images}'"),
    "text": (lambda file: file.write_text("hello"), "{images}/2.jpg' cannot be decoded"),
    "empty": (lambda file: file.write_bytes(b""), "{images}/2.jpg' cannot be decoded"),
    "cut off": (cut, "{images}/2.jpg' cannot be decoded ("),
    "pipe": (pipe, "image '2.jpg', which is not a file in '{images}'"),
    "folder": (
        lambda file: (file.unlink(), file.mkdir()),
        "image '2.jpg', which is not a file in '{images}'",
    ),
    "link out": (
        link("../secret.jpg"),
        "image '2.jpg', which is a link that leads out of '{images}'",
    ),
    "link to itself": (link("2.jpg"), "image '2.jpg', which is not in '{images}'"),
    "name leads up": ("../secret.jpg", "image '../secret.jpg', which leads out of '{images}'"),
    "name leads up and down": (
        "../images/2.jpg",
        "image '../images/2.jpg', which leads out of '{images}'",
    ),
    "absolute name": ("{images}/2.jpg", "image '{images}/2.jpg', which leads out of '{images}'"),
    "control characters": ("\x1b[2J\n.jpg", r"image '\x1b[2J\n.jpg', which is not in"),
}


def changed(case: str, images: Path) -> tuple[str, str]:
    """Return the name that the third image's row gives, and what is said of it."""
    change, said = FILES[case]
    name = "2.jpg"
    if isinstance(change, str):
        name = change.replace("{images}", str(images))
    else:
        change(images / name)
    return name, said.replace("{images}", str(images))


def task_words(tmp_path: Path, data: Path, *words: str) -> list[str]:
    """Ask one task of yes and no."""
    suite = tmp_path / "configs" / "tasks"
    suite.mkdir(parents=True, exist_ok=True)
    (suite / "own.yaml").write_text(
        "defaults: [/task@tasks.one: vsr, /stability@stable.rules: default, _self_]\n"
        "name: own\ndraw: test\nstable: {vision: auto, text: auto}\n"
    )
    folder = f"tasks.tasks.one.data.image_folder={tmp_path / 'images'}"
    config = ["--config-dir", str(tmp_path / "configs"), "tasks=own"]
    return [*config, f"tasks.tasks.one.data.path={data}", *instead([folder], words)]


def rows_of(images: Path) -> Rows:
    names = sorted(file.name for file in images.iterdir())
    return [
        {"id": f"i{n}", "image": name, "caption": f"is it {n}?", "label": n % 2}
        for n, name in enumerate(names)
    ]


@pytest.mark.parametrize("case", FILES)
def test_an_image_that_a_task_names(case, images, tmp_path, capsys):
    rows = rows_of(images)
    rows[2]["image"], said = changed(case, images)
    data = tmp_path / "rows.json"
    data.write_text(json.dumps(rows))
    assert said in refused(task_words(tmp_path, data), tmp_path, capsys)


@pytest.mark.parametrize(
    ("change", "words", "said"),
    [
        (
            {"id": "i1"},
            ["tasks.tasks.one.columns.id=id"],
            "Two items of task 'one' have the id 'i1'",
        ),
        (
            {"caption": "what is <image> ?"},
            [],
            "The question of item '2' of task 'one' is 'what is <image> ?'",
        ),
        ({"caption": "\ud83d"}, [], r"surrogates not allowed"),
        ({"label": "perhaps"}, [], "Item '2' of task 'one' has the answer 'perhaps'"),
    ],
)
def test_a_row_that_would_spoil_a_number(change, words, said, images, tmp_path, capsys):
    rows = rows_of(images)
    for row in rows:
        row["label"] = str(row["label"])
    rows[2] |= change
    data = tmp_path / "rows.json"
    data.write_text(json.dumps(rows))
    assert said in refused(task_words(tmp_path, data, *words), tmp_path, capsys)


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ({"bytes": b"text", "path": None}, "'image of row 2 of task one' cannot be decoded"),
        ({"bytes": b"", "path": None}, "'image of row 2 of task one' cannot be decoded"),
        ({"bytes": None, "path": None}, "'image of row 2 of task one' is empty"),
        (None, "'image of row 2 of task one' is empty"),
        ({"bytes": None, "path": "images/9.jpg"}, "images/9.jpg', which cannot be read (No such"),
        ({"bytes": None, "path": "/etc/hostname"}, "'/etc/hostname', which is outside '"),
        ({"bytes": None, "path": "../x.jpg"}, "../x.jpg', which is outside '"),
    ],
)
def test_an_encoded_image(cell, said, images, tmp_path, capsys):
    rows = rows_of(images)
    for row in rows:
        content = BytesIO()
        Image.open(images / row["image"]).save(content, format="PNG")
        row["image"] = {"bytes": content.getvalue(), "path": None}
    rows[2]["image"] = cell
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
    words = task_words(
        tmp_path, tmp_path / "rows.parquet", "tasks.tasks.one.data.image_folder=null"
    )
    assert said in refused(words, tmp_path, capsys)


@pytest.mark.usefixtures("images")
@pytest.mark.parametrize("suffix", ["json", "parquet"])
def test_a_pipe_where_a_table_should_be(suffix, tmp_path, capsys):
    os.mkfifo(tmp_path / f"rows.{suffix}")
    text = refused(task_words(tmp_path, tmp_path / f"rows.{suffix}"), tmp_path, capsys)
    assert "it is not a regular file" in text


def instruction_words(tmp_path: Path) -> list[str]:
    return [
        "model=tiny-lm",
        "encoder=tiny-siglip",
        "method=frozen",
        "method@language=full-l",
        "tasks=tiny",
        "~data@controls.source",
        "data=llava-instruct",
        f"data.path={tmp_path / 'mix.json'}",
        f"data.image_folder={tmp_path / 'images'}",
    ]


def conversations(images: Path) -> Rows:
    turns = [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": "Grey."}]
    names = sorted(file.name for file in images.iterdir())
    return [{"id": name, "image": name, "conversations": turns} for name in names]


@pytest.mark.parametrize("case", FILES)
def test_an_image_of_instructions(case, images, tmp_path, capsys):
    entries = conversations(images)
    entries[2]["image"], said = changed(case, images)
    (tmp_path / "mix.json").write_text(json.dumps(entries))
    text = refused(instruction_words(tmp_path), tmp_path, capsys)
    assert said.replace("', which", "'") in text


def test_half_a_character_in_instructions(images, tmp_path, capsys):
    entries = conversations(images)
    entries[2]["conversations"] = [
        {"from": "human", "value": "What?"},
        {"from": "gpt", "value": "\ud83d"},
    ]
    (tmp_path / "mix.json").write_text(json.dumps(entries))
    text = refused(instruction_words(tmp_path), tmp_path, capsys)
    assert "line 1 (entry 3): message 2 holds half a character" in text


@pytest.mark.usefixtures("images")
def test_a_pipe_where_instructions_should_be(tmp_path, capsys):
    os.mkfifo(tmp_path / "mix.json")
    text = refused(instruction_words(tmp_path), tmp_path, capsys)
    assert "cannot be read (Not a regular file)" in text
