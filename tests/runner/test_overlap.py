"""A run that would be tested on what it trains on is refused, by what pictures show and what is asked about them."""

from io import BytesIO

import datasets
import pytest
from PIL import Image
from tests.data.hub_sets import cell, labelled, picture, write_hub


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def other_encoding(of: dict) -> dict:
    """The same pixels in other bytes."""
    content = BytesIO()
    Image.open(BytesIO(of["bytes"])).save(content, "BMP")
    return {"bytes": content.getvalue(), "path": None}


def asked(part, questions):
    return [
        {"image": cell(picture(f"{part}-{row}")), "question": question, "answer": "yes"}
        for row, question in enumerate(questions)
    ]


@pytest.fixture
def target(tmp_path):
    parts = {part: labelled(part, ["a", "b"] * 6) for part in ("train", "test")}
    return parts, lambda: [
        "data=hub",
        f"data.path={write_hub(tmp_path / 'target', parts)}",
        "data.shots=6",
        "data.development_fraction=0",
    ]


def control(tmp_path, parts):
    return [
        "+data@controls.other=hub",
        f"controls.other.path={write_hub(tmp_path / 'other', parts)}",
        "controls.other.name=other",
    ]


def refused(ablate_run, capsys, words):
    code, outputs = ablate_run(*words)
    shown = capsys.readouterr()
    assert code == 2, shown
    assert shown.err.count("\n") == 1
    assert not outputs.exists()
    return shown.err


def test_a_control_that_holds_a_training_image_in_another_encoding(
    ablate_run, capsys, tmp_path, target
):
    parts, words = target
    others = {part: labelled(f"other-{part}", ["x", "y"] * 4) for part in ("train", "test")}
    others["test"][5]["image"] = other_encoding(parts["train"][3]["image"])
    said = refused(ablate_run, capsys, [*words(), *control(tmp_path, others)])
    assert (
        "1 of the 12 items that 'hub' is trained on with seed 0 are items of control 'other'"
        in said
    )
    assert "such as '3' and its number 6" in said
    # What a control would be trained on, if it were the target, is tested by nobody.
    others["test"][5]["image"] = cell(picture("none"))
    others["train"][5]["image"] = parts["train"][3]["image"]
    assert ablate_run(*words(), *control(tmp_path / "b", others))[0] == 0


def test_a_test_part_that_holds_a_training_image_in_another_encoding(ablate_run, capsys, target):
    parts, words = target
    parts["test"][0]["image"] = other_encoding(parts["train"][4]["image"])
    assert "are items of target 'hub', such as '4' and its number 1" in refused(
        ablate_run, capsys, words()
    )


def test_a_question_counts_with_its_image(ablate_run, capsys, tmp_path):
    rows = asked("q", [f"is it {n}?" for n in range(12)])
    path = write_hub(tmp_path / "questions", {"train": rows})
    words = [
        "data=yes-no",
        f"data.path={path}",
        "data.parts.test=null",
        "data.development_fraction=0",
        "data.shots=6",
        "tasks=tiny",
        *(f"~tasks.tasks.{n}" for n in ("size", "colour", "texture", "count", "place")),
        *(f"~tasks.tasks.words-{n}" for n in ("recall", "position", "count", "neighbour", "odd")),
        "+task@tasks.tasks.own=pope-accuracy",
        "tasks.tasks.own.columns.id=null",
        "tasks.stable.text=auto",
        "tasks.tasks.shape.items=8",
        "tasks.tasks.words-number.items=8",
    ]
    suite = write_hub(tmp_path / "suite", {"test": rows})
    said = refused(ablate_run, capsys, [*words, f"tasks.tasks.own.data.path={suite}"])
    assert (
        "6 of the 6 items that 'yes-no' is trained on with seed 0 are items of vision 'own'" in said
    )
    assert "Fix: ~tasks.tasks.own" in said
    others = [{**row, "question": "is it big?"} for row in rows]
    suite = write_hub(tmp_path / "others", {"test": others})
    assert ablate_run(*words, f"tasks.tasks.own.data.path={suite}")[0] == 0
