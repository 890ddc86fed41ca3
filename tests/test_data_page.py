"""docs/data.md, followed to the letter."""

import json
import re
import shlex
import sys
from pathlib import Path

import datasets
import pandas as pd
import pytest
from tests.data.hub_sets import cell, picture, write_hub
from tests.test_extending import BLOCK, ROOT, change

from ablate.cli.main import dispatch

LONGEST_FILE = 10


@pytest.fixture(scope="module")
def page():
    return (ROOT / "docs" / "data.md").read_text(encoding="utf-8")


def write_tables(root: Path) -> None:
    """What the page's files name."""
    species = ("parus_major", "pica pica", "robin")
    birds = {
        part: [
            {"photo": cell(picture(f"{part}{row}")), "species": species[row % 3]}
            for row in range(24)
        ]
        for part in ("train", "test")
    }
    write_hub(root / "birds", birds)
    (root / "pictures").mkdir()
    lines = []
    for row in range(24):
        picture(f"manual{row}").save(root / "pictures" / f"{row}.png")
        options = {"a": "pump", "b": "valve", "c": "fuse"}
        topic = ("water", "current")[row % 2]
        ask, right = f"which part is number {row}?", options["abc"[row % 3]]
        lines.append({"file": f"{row}.png", "ask": ask, **options, "right": right, "topic": topic})
    (root / "manuals.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    signs = [
        {"image": cell(picture(f"sign{row}")), "claim": f"it says {row}", "holds": row % 2 == 0}
        for row in range(24)
    ]
    pd.DataFrame(signs).to_parquet(root / "signs.parquet")


def test_every_file_and_command_works_as_the_page_says(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["ablate"])
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    write_tables(tmp_path)
    for block in BLOCK.finditer(page):
        if block["file"]:
            assert block["text"].count("\n") <= LONGEST_FILE
            change(tmp_path / block["file"], block["how"], block["line"], block["text"])
    commands = [
        line
        for block in BLOCK.finditer(page)
        if block["language"] == "sh"
        for line in block["text"].strip().splitlines()
    ]
    assert len(commands) == 8
    for command in commands:
        program, *words = shlex.split(command)
        assert program == "ablate"
        code = dispatch(words)
        shown = capsys.readouterr()
        assert code == 0, f"{command}\n{shown.out}\n{shown.err}"
    outputs = tmp_path / "outputs"
    for name, kept in {"birds": 24, "manuals": 12, "signs": 12}.items():
        run = pd.read_csv(outputs / name / "results.csv").iloc[0]
        assert (run["data"], run["status"], run["n_items"]) == (name, "ok", kept)
    tasks = pd.read_csv(outputs / "suite" / "tasks.csv").set_index("task")
    assert (tasks.loc["manuals"]["n"], tasks.loc["manuals"]["kind"]) == (24, "vision")
    assert tasks.loc["manuals"]["chance"] == pytest.approx(1 / 3)


def test_the_page_names_every_set_of_the_papers(page):
    named = set(re.findall(r"`([a-z-]+)`", page[page.index("## The ten sets") :]))
    assert {"gtsrb", "tsi", "counteranimal", "aircraft", "eurosat", "dalle"} <= named
    assert {"vsr", "hateful-memes", "mmvp", "visonlyqa"} <= named
