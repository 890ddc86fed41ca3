"""Real images give the same numbers from class folders, from a hub's parquet and from questions in JSON lines."""

import gzip
import json
from pathlib import Path

import datasets
import numpy as np
import pandas as pd
import pytest
from datasets import ClassLabel, Features, Value
from datasets import Image as ImageFeature
from PIL import Image
from safetensors.torch import load_file
from tests.data.hub_sets import write_hub

from ablate.data.multiple_choice import multiple_choice_items

FASHION = Path("/usr/share/datasets/fashion-mnist")
NAMES = (
    "ankle boot",
    "bag",
    "coat",
    "dress",
    "pullover",
    "sandal",
    "shirt",
    "sneaker",
    "top",
    "trouser",
)
# The order in which Fashion-MNIST numbers them.
NUMBERED = (
    "top",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)
QUESTION = "what is this?"
PER_CLASS = {"train": 8, "test": 6}


def fashion(part):
    if not FASHION.is_dir():
        pytest.skip("Debian's package dataset-fashion-mnist is not installed")
    name = {"train": "train", "test": "t10k"}[part]
    pixels, labels = (
        gzip.decompress((FASHION / f"{name}-{what}-ubyte.gz").read_bytes())
        for what in ("images-idx3", "labels-idx1")
    )
    images = np.frombuffer(pixels, np.uint8, offset=16).reshape(-1, 28, 28)
    numbers = np.frombuffer(labels, np.uint8, offset=8)
    return images, [NUMBERED[number] for number in numbers[:2000]]


def digits(part):
    scans = pytest.importorskip("sklearn.datasets").load_digits()
    rows = slice(0, 800) if part == "train" else slice(800, None)
    grey = (255 - scans.images[rows] * 15).astype(np.uint8)
    return grey, [NAMES[number] for number in scans.target[rows]]


def write_folder(folder: Path, read) -> Path:
    for part, n in PER_CLASS.items():
        images, names = read(part)
        for name in NAMES:
            (folder / part / name).mkdir(parents=True)
            for row in [row for row, given in enumerate(names) if given == name][:n]:
                Image.fromarray(images[row]).save(folder / part / name / f"{row:05d}.png")
    return folder


def listed(folder: Path, part: str) -> list[tuple[str, int]]:
    """Id and class of every file, in the order of the folder."""
    return [
        (file.relative_to(folder).as_posix(), label)
        for label, name in enumerate(NAMES)
        for file in sorted((folder / part / name).iterdir())
    ]


def hub_of(folder: Path, place: Path) -> list[str]:
    features = Features(id=Value("string"), image=ImageFeature(), label=ClassLabel(names=[*NAMES]))
    parts = {
        part: [
            {
                "id": id_,
                "image": {"bytes": (folder / id_).read_bytes(), "path": None},
                "label": label,
            }
            for id_, label in listed(folder, part)
        ]
        for part in PER_CLASS
    }
    return ["data=hub", f"data.path={write_hub(place, parts, features)}", "data.columns.id=id"]


def json_lines_of(folder: Path, place: Path) -> list[str]:
    """Questions with the options that are drawn for the images of the folder."""
    place.mkdir()
    for part in PER_CLASS:
        ids, labels = zip(*listed(folder, part), strict=True)
        lines = [
            {
                "id": item.id,
                "image": item.id,
                "question": item.question,
                "options": list(item.options),
                "answer": "ABCDE"[item.answer],
                "category": NAMES[label],
            }
            for item, label in zip(
                multiple_choice_items(ids, labels, NAMES, QUESTION, 5, seed=0), labels, strict=True
            )
        ]
        text = "\n".join(map(json.dumps, lines))
        (place / f"{part}.jsonl").write_text(text, encoding="utf-8")
    columns = (
        "id: id, image: image, question: question, hint: null, options: options, answer: answer"
    )
    return [
        "data=choices",
        f"data.path={place}",
        "data.files={train: train.jsonl, test: test.jsonl}",
        f"data.image_folder={folder}",
        f"data.columns={{{columns}, category: category}}",
    ]


@pytest.mark.parametrize(("read", "scoring"), [(fashion, "letters"), (digits, "answers")])
def test_the_numbers_are_those_of_the_image_folder(
    ablate_run, read, scoring, tmp_path, monkeypatch
):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    folder = write_folder(tmp_path / "folder", read)
    ways = {
        "folder": ["data=imagefolder", f"data.path={folder}"],
        "hub": [*hub_of(folder, tmp_path / "hub"), "data.development_fraction=0"],
        "lines": [*json_lines_of(folder, tmp_path / "lines"), "data.development_fraction=0"],
    }
    found, updates = {}, {}
    for way, words in ways.items():
        words = [
            *words,
            f"name={way}",
            "data.name=same",
            f"model.scoring={scoring}",
            "train.epochs=2",
        ]
        code, outputs = ablate_run(*words)
        assert code == 0
        (run,) = (outputs / way / "runs").iterdir()
        table = pd.read_parquet(run / "items.parquet")
        updates[way] = load_file(run / "adapter.safetensors")
        found[way] = table[table["metric"] == "accuracy"].set_index("item_id")
    first = found["folder"]
    assert len(first) == 40
    for way in ("hub", "lines"):
        table = found[way]
        assert updates[way].keys() == updates["folder"].keys()
        for name, update in updates[way].items():
            assert update.equal(updates["folder"][name]), name
        assert list(table.index) == list(first.index)
        for column in ("answer", "prediction", "score", "score_before"):
            assert list(table[column]) == list(first[column]), column
        for own, other in zip(table["option_logprobs"], first["option_logprobs"], strict=True):
            assert list(own) == list(other)
