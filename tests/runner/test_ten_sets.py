"""The ten sets of the LoRSU papers, small and in their own schemas, end to end: in sessions, offline, as controls."""

import io
import json
import tarfile
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import datasets
import pandas as pd
import pytest
from datasets import ClassLabel, Features, Value
from datasets import Image as ImageFeature
from tests.conftest import read_results
from tests.data.hub_sets import cell, picture, write_hub

from ablate.config.folder import config_folder
from ablate.config.reading import read_run_config
from ablate.config.yaml_file import parse, read_text
from ablate.plans.base import compose_words
from ablate.recipes.data import load_data
from ablate.recipes.few_shot import session_rows

SYNTHETIC = ("triangle", "quadrilateral", "length", "angle", "area")
REAL = (*(f"geometry__{name}" for name in SYNTHETIC), "geometry__diameter_radius")
OTHERS = (
    "chemistry__shape_single",
    "chemistry__shape_multi",
    "charts__extraction",
    "charts__intersection",
)
ACTIONS = ("walking", "eating", "watching TV", "reading a book", "cutting bread", "lying down")


def shipped(name: str) -> dict[str, Any]:
    """What the file of a shipped data set says."""
    file = config_folder() / "data" / f"{name}.yaml"
    return dict(parse(read_text(file), file))


def names_of(name: str) -> list[str]:
    """The class names of a shipped data set."""
    return list(shipped(name)["class_names"])


def labelled_parts(name, n_classes, parts, column="image", label="label", n=2):
    return {
        part: [
            {column: cell(picture(f"{name}/{part}/{row}")), label: row % n_classes}
            for row in range(n * n_classes)
        ]
        for part in parts
    }


def gtsrb(folder: Path) -> list[str]:
    features = Features(image=ImageFeature(), label=ClassLabel(names=names_of("gtsrb")))
    parts = labelled_parts("gtsrb", 43, ("train", "test"), n=3)
    return [f"path={write_hub(folder, parts, features)}"]


def eurosat(folder: Path) -> list[str]:
    kind = ClassLabel(names=names_of("eurosat"))
    features = Features(image=ImageFeature(), label=kind, image_id=Value("string"))
    parts = labelled_parts("eurosat", 10, ("train", "validation", "test"))
    for part, rows in parts.items():
        for number, row in enumerate(rows):
            row["image_id"] = f"{part}_{number}"
    return [f"path={write_hub(folder, parts, features)}"]


def aircraft(folder: Path) -> list[str]:
    for part in ("train", "test"):
        (folder / part).mkdir(parents=True)
        with tarfile.open(folder / part / "0.tar", "w") as tar:
            for row in range(300 if part == "train" else 100):
                content = io.BytesIO()
                picture(f"aircraft/{part}/{row}").save(content, "JPEG")
                for ending, data in (("cls", str(row % 100).encode()), ("jpg", content.getvalue())):
                    entry = tarfile.TarInfo(f"s{row:07d}.{ending}")
                    entry.size = len(data)
                    tar.addfile(entry, io.BytesIO(data))
    return [f"path={folder}"]


def vsr(folder: Path) -> list[str]:
    (folder / "images").mkdir(parents=True)
    for part, file in (("train", "train"), ("validation", "dev"), ("test", "test")):
        lines = []
        objects = list(chain(*shipped("vsr")["session_classes"]))
        for row in range(len(objects)):
            name = f"{part}{row:012d}.jpg"
            picture(f"vsr/{name}").save(folder / "images" / name)
            lines.append(
                {
                    "image": name,
                    "image_link": f"http://images.cocodataset.org/train2017/{name}",
                    "caption": f"The {objects[row]} is on number {row}.",
                    "label": row // 5 % 2,
                    "relation": "on",
                    "subj": "thing",
                    "obj": objects[row],
                }
            )
        text = "\n".join(map(json.dumps, lines))
        (folder / "data").mkdir(exist_ok=True)
        (folder / "data" / f"{file}.jsonl").write_text(text, encoding="utf-8")
    return [f"path={folder / 'data'}", f"image_folder={folder / 'images'}"]


def hateful_memes(folder: Path) -> list[str]:
    (folder / "img").mkdir(parents=True)
    number = 0
    for file in ("train", "dev_seen", "test_unseen"):
        lines = []
        for row in range(16):
            number += 1
            name = f"img/{number:05d}.png"
            picture(f"memes/{name}").save(folder / name)
            line = {"id": number, "img": name, "label": row % 2, "text": f"look at this {number}"}
            lines.append(json.dumps(line))
        (folder / f"{file}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return [f"path={folder}"]


def mmvp(folder: Path, n: int = 48) -> list[str]:
    rows = [
        {
            "image": cell(picture(f"mmvp/{row}")),
            "Question": f"Is door {row // 2} open?",
            "Options": "(a) Open (b) Closed",
            "Correct Answer": "(a)" if row % 2 else "(b)",
        }
        for row in range(n)
    ]
    return [f"path={write_hub(folder, {'train': rows})}"]


def visonlyqa_rows(split: str, n: int) -> list[dict]:
    image_category, task_category = split.split("__")
    return [
        {
            "image_path": f"images/{row}.png",
            "question": f"What of {split} {row}?",
            "answer": ("True", "60")[row % 2],
            "prompt_reasoning": "",
            "prompt_no_reasoning": "",
            "image_category": image_category,
            "task_category": task_category,
            "question_type": "multiple_answers" if row == n - 1 else "single_answer",
            "response_options": (["True", "False"], ["30", "60", "90", "120"])[row % 2],
            "source": "synthetic",
            "id": f"{split}{row}",
            "decoded_image": cell(picture(f"{split}/{row}")),
        }
        for row in range(n)
    ]


def visonlyqa(folder: Path) -> list[str]:
    train = [f"syntheticgeometry__{name}" for name in SYNTHETIC] + ["3d__size", "3d__angle"]
    trained = write_hub(folder / "train", {split: visonlyqa_rows(split, 5) for split in train})
    tested = {split: visonlyqa_rows(split, 3) for split in (*REAL, *OTHERS)}
    return [f"path={trained}", f"parts.test.path={write_hub(folder / 'real', tested)}"]


def image_folder(classes) -> Callable[[Path], list[str]]:
    def write(folder: Path) -> list[str]:
        for name in classes:
            (folder / name).mkdir(parents=True)
            for row in range(8):
                picture(f"{folder.name}/{name}/{row}").save(folder / name / f"{row}.png")
        return [f"path={folder}"]

    return write


SETS: dict[str, Callable[[Path], list[str]]] = {
    "gtsrb": gtsrb,
    "eurosat": eurosat,
    "aircraft": aircraft,
    "vsr": vsr,
    "hateful-memes": hateful_memes,
    "mmvp": mmvp,
    "visonlyqa": visonlyqa,
    "counteranimal": image_folder(("otter", "sulphur crested cockatoo", "ice bear", "hen", "ox")),
    "tsi": image_folder(ACTIONS),
    "dalle": image_folder(ACTIONS),
}


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> dict[str, list[str]]:
    root = tmp_path_factory.mktemp("sets")
    return {name: write(root / name) for name, write in SETS.items()}


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.getbasetemp() / "hf")


# DALL-E's images are only tested, as a control.
@pytest.mark.parametrize("name", [name for name in SETS if name != "dalle"])
def test_a_set_is_trained_and_tested_in_sessions_and_offline(ablate_run, written, name):
    words = [f"data={name}", *(f"data.{word}" for word in written[name])]
    code, outputs = ablate_run(
        "-m", *words, "data.sessions=1,5", "data.shots=1", "data.test_items=12"
    )
    assert code == 0
    found = read_results(outputs / "run")
    assert list(found["status"]) == ["ok", "ok"]
    assert sorted(found["sessions"]) == [1, 5]
    assert set(found["data"]) == {name}
    assert found["accuracy"].between(0, 1).all()
    assert found["target_improvement"].notna().all()
    tasks = pd.read_csv(outputs / "run" / "tasks.csv")
    n_options = {"vsr": 2, "hateful-memes": 2, "mmvp": 2, "visonlyqa": None}.get(name, 5)
    chance = tasks[tasks["metric"] == "accuracy"]["chance"]
    if n_options:
        assert chance.eq(1 / n_options).all()
    else:
        assert chance.between(0.25, 0.5).all()


def test_a_statement_is_asked_alone_and_its_answer_read_for_the_words(ablate_run, written):
    words = ["data=vsr", *(f"data.{word}" for word in written["vsr"]), "data.scoring=generate"]
    words += ["data.sessions=1", "data.shots=35", "eval.max_new_tokens=4", "method=full-l"]
    code, outputs = ablate_run(*words, "train.epochs=8", "train.learning_rate=0.01")
    assert code == 0
    row = read_results(outputs / "run").iloc[0]
    tasks = pd.read_csv(outputs / "run" / "tasks.csv").set_index(["task", "metric"]).loc["vsr"]
    items = pd.read_parquet(outputs / "run" / "runs" / row["run_id"] / "items.parquet")
    items = items[(items["task"] == "vsr") & (items["metric"] == "accuracy")]
    # VSR's rule: the word that occurs in it, if only one of the two does.
    said = [{word for word in ("true", "false") if word in text.lower()} for text in items["text"]]
    right = [given == {answer} for given, answer in zip(said, items["answer"], strict=True)]
    unreadable = [len(given) != 1 for given in said]
    assert 0 < sum(right) < len(right)
    assert row["accuracy"] == pytest.approx(sum(right) / len(right))
    assert tasks.loc["unreadable", "value"] == pytest.approx(sum(unreadable) / len(right))
    assert tasks.loc["accuracy", "chance"] == tasks.loc["argmax_accuracy", "chance"] == 0.5


def test_a_set_is_read_answered_and_divided_as_by_its_authors():
    places = [f"controls.{name}.path=." for name in ("tsi", "counteranimal", "dalle")]
    words = ["+protocol=lorsu", "data=eurosat", *places, "controls.hateful-memes.path=."]
    run = read_run_config(compose_words(words, None).config)
    sets = {**run.controls, "eurosat": run.data}
    listed = {name: data.session_classes for name, data in sets.items()}
    assert {data.scoring for data in sets.values()} == {"generate"}
    assert {name: (data.reading, data.sentence) for name, data in sets.items()} == {
        "gtsrb": ("lenient", "This is a {} traffic sign"),
        "tsi": ("strict", None),
        "counteranimal": ("strict", "This is a {}."),
        "aircraft": ("strict", "The type of this aircraft is {}."),
        "eurosat": ("strict", "It shows a {}."),
        "dalle": ("strict", None),
        "vsr": ("lenient", None),
        "hateful-memes": ("strict", None),
        "mmvp": ("brackets", None),
        "visonlyqa": ("strict-any-case", None),
    }
    assert {name: [len(one) for one in lists] for name, lists in listed.items() if lists} == {
        "gtsrb": [9, 9, 9, 8, 8],
        "aircraft": [20] * 5,
        "vsr": [7, 7, 7, 7, 8],
        "visonlyqa": [1, 1, 1, 1, 3],
    }
    for name in ("gtsrb", "aircraft"):
        assert sorted(chain(*listed[name])) == sorted(names_of(name))


@pytest.mark.parametrize(("setting", "sizes"), [("CL-5", [30] * 5), ("offline", [150])])
def test_all_of_mmvps_training_half_is_trained_on_its_pairs_whole(tmp_path, setting, sizes):
    (place,) = mmvp(tmp_path / "mmvp", 300)
    words = ["+protocol=lorsu", "data=mmvp", f"data.{place}", f"protocol.setting={setting}"]
    words += [f"~data@controls.{other}" for other in SETS if other != "mmvp"]
    config = read_run_config(compose_words(words, None).config).data
    data = load_data(config)
    rows = [
        [int(data.train.ids[row]) for row in session] for session in session_rows(data, config, 0)
    ]
    assert [len(session) for session in rows] == sizes
    assert all({row ^ 1 for row in session} == set(session) for session in rows)
    # The rows of the authors: the first pair and every second.
    assert sorted(chain(*rows)) == [row for row in range(300) if row % 4 < 2]


def test_the_other_nine_are_controls(ablate_run, written):
    others = [name for name in SETS if name != "eurosat"]
    words = [f"data.{word}" for word in written["eurosat"]]
    for name in others:
        words += [f"+data@controls.{name}={name}", f"controls.{name}.test_items=6"]
        words += [f"controls.{name}.{word}" for word in written[name]]
    code, outputs = ablate_run("data=eurosat", *words, "data.shots=1")
    assert code == 0
    tasks = pd.read_csv(outputs / "run" / "tasks.csv")
    controls = tasks[(tasks["kind"] == "control") & (tasks["metric"] == "accuracy")]
    assert set(controls["task"]) == set(others)
    change = (controls["value"] - controls["value_before"]).mean()
    assert read_results(outputs / "run")["control_change"][0] == pytest.approx(change)
