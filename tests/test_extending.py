"""docs/extending.md, followed to the letter in a copy of the package."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(
    r"^```(?P<language>\w+)(?: title=\"(?P<file>[^\"]+)\"(?: (?P<how>before|replace)=\"(?P<line>[^\n]*)\")?)?\n"
    r"(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
# In one process, which imports torch once.
ONE_AFTER_THE_OTHER = """
import shlex, sys
from ablate.cli.main import dispatch
commands, sys.argv = sys.argv[1:], ["ablate"]
for command in commands:
    code = dispatch(shlex.split(command)[1:])
    assert code == 0, (command, code)
"""


@pytest.fixture(scope="module")
def page():
    return (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def copy_of_package(page, tmp_path_factory):
    """The package with all that the page adds, and a data set of our own."""
    root = tmp_path_factory.mktemp("extended")
    shutil.copytree(ROOT / "src", root / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "configs", root / "configs")
    for block in BLOCK.finditer(page):
        if block["file"]:
            change(root / block["file"], block["how"], block["line"], block["text"])
    write_pets(root / "pets")
    return root


def change(file, how, line, text):
    if how is None:
        assert not file.exists(), f"{file} is there already"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return
    old = file.read_text(encoding="utf-8")
    # `before` may name the beginning of a statement that a formatter has broken.
    anchor = line if how == "before" else f"{line}\n"
    assert old.count(anchor) == 1, f"{file} has the line {line!r} {old.count(anchor)} times"
    new = f"{text}{anchor}" if how == "before" else text
    file.write_text(old.replace(anchor, new), encoding="utf-8")


def write_pets(folder):
    folder.mkdir()
    images, questions = [], []
    for number in range(16):
        label, colour = ("cat", "red") if number % 2 else ("dog", "blue")
        name = f"{number}.png"
        picture = Image.new("RGB", (32, 32), colour)
        picture.putpixel((number, 0), (255, 255, 255))  # no two are the same
        picture.save(folder / name)
        part = "train" if number < 8 else "test"
        images.append({"image": name, "label": label, "part": part})
        questions.append({"image": name, "question": "is it a cat?", "answer": label == "cat"})
    for name, rows in (("images", images), ("questions", questions)):
        text = "".join(f"{json.dumps(row)}\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")


def commands(page):
    return [b["text"].strip() for b in BLOCK.finditer(page) if b["language"] == "sh"]


def test_every_addition_works_as_the_page_says(page, copy_of_package):
    root = copy_of_package
    environment = {**os.environ, "PYTHONPATH": str(root / "src")}
    assert len(commands(page)) == 6
    assert all(shlex.split(command)[:2] == ["ablate", "run"] for command in commands(page))
    done = subprocess.run(
        [sys.executable, "-c", ONE_AFTER_THE_OTHER, *commands(page)],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    outputs = root / "outputs"
    oft = pd.read_csv(outputs / "run" / "results.csv").iloc[0]
    assert (oft["method"], oft["status"]) == ("oft", "ok")
    assert oft["trainable_parameters"] > 0
    pets = tasks(outputs / "pets").loc["pets"]
    assert (pets["kind"], pets["n"]) == ("vision", 16)
    sums = tasks(outputs / "sums").loc["sums"]
    assert (sums["kind"], sums["n"], sums["chance"]) == ("text", 81, 0.3333)
    table = pd.read_csv(outputs / "table" / "results.csv").iloc[0]
    assert (table["data"], table["n_items"], table["status"]) == ("labelled-table", 8, "ok")
    written = (outputs / "tracker" / "lines.jsonl").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in written.splitlines()]
    assert [line["step"] for line in lines[:-1]] == list(range(len(lines) - 1)) != []
    assert (lines[-1]["status"], lines[-1]["accuracy"]) == ("ok", accuracy_of(outputs / "tracker"))
    assert pd.read_csv(outputs / "column" / "results.csv")["host"].notna().all()


def accuracy_of(folder):
    return pd.read_csv(folder / "results.csv")["accuracy"].iloc[0]


def tasks(folder):
    return pd.read_csv(folder / "tasks.csv").set_index("task")


def test_the_page_draws_the_rooms_as_they_are(page):
    drawn = re.findall(r"^    (\w+) +\S", page, re.MULTILINE)
    folders = {path.parent.name for path in (ROOT / "src" / "ablate").glob("*/__init__.py")}
    assert set(drawn[: len(folders)]) == folders
