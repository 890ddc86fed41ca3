"""`ablate data check`: what fits and what does not, without a model."""

import datasets
import pytest
from datasets import ClassLabel, Features, Value
from datasets import Image as ImageFeature
from tests.data.hub_sets import labelled, write_hub

from ablate.cli.main import dispatch

FEATURES = Features(id=Value("string"), image=ImageFeature(), label=ClassLabel(names=["a", "b"]))


@pytest.fixture
def hub(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    parts = {part: labelled(part, [0, 1] * 20) for part in ("train", "test")}
    return write_hub(tmp_path / "hub", parts, FEATURES)


def check(capsys, *words):
    code = dispatch(["data", *words])
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def test_a_set_that_fits(hub, capsys):
    code, out, err = check(capsys, "check", "hub", f"data.path={hub}", "--rows", "5")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[-1] == "hub fits"
    assert "fits  train: 5 images decode (8 x 6 pixels)" in lines
    assert "note  development: 10% of the training part is held out" in lines
    assert any("'label' holds a ClassLabel of 2: a = a, b = b" in line for line in lines)


def test_what_does_not_fit_is_said_for_every_part(hub, capsys):
    code, out, _ = check(capsys, "check", "hub", f"data.path={hub}", "data.class_names=[x]")
    assert code == 2
    words = ["data.class_names=[x,y,z]", "data.parts.test.split=tset"]
    code, out, _ = check(capsys, "check", "hub", f"data.path={hub}", *words)
    assert code == 2
    wrong = [line for line in out.splitlines() if line.startswith("NO")]
    assert [line.split()[1] for line in wrong] == ["train:", "test:"]
    assert "has 2 classes, but data.class_names has 3 names" in wrong[0]
    assert "tset" in wrong[1]
    assert out.splitlines()[-1] == "hub does not fit"


def test_a_set_of_the_hub_is_said_to_be_pinned_or_not(capsys, monkeypatch):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    code, out, _ = check(capsys, "check", "hub", "data.path=no/such-set")
    assert code == 2
    assert "'no/such-set' is not pinned" in out
    # What could not be read may fit; it is asked for once.
    assert out.splitlines()[-3:] == [
        "note  development: 10% of the training part is held out",
        "note  test: not looked at",
        "hub could not be reached",
    ]
    _, out, _ = check(capsys, "check", "hub", "data.path=no/such-set", "data.revision=abc")
    assert "is pinned to revision abc" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["check", "hbu"], "Did you mean 'hub'?"),
        (["chek", "hub"], "Did you mean 'check'?"),
        (["check"], "0 names are given"),
        (["check", "hub", "--row", "3"], "Did you mean '--rows'?"),
        (["check", "hub", "--rows", "0"], "--rows is 0"),
        (["check", "hub"], "data.path has no value"),
        (["check", "hub", "data.path=x", "data.shots=0"], "data.shots is 0"),
        (
            ["check", "task/pope", "tasks.tasks.pope.columns.anwser=x"],
            "Did you mean 'tasks.tasks.pope.columns.answer'",
        ),
    ],
)
def test_a_mistake_in_the_command_is_one_line(capsys, words, said):
    code, out, err = check(capsys, *words)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert said in err


def test_an_unknown_key_of_ones_own_set_is_answered_by_that_set(capsys, tmp_path):
    (tmp_path / "data").mkdir()
    content = "defaults: [choices, _self_]\nname: manuals\npath: manuals.jsonl\n"
    (tmp_path / "data" / "manuals.yaml").write_text(content)
    words = ["check", "manuals", "--config-dir", str(tmp_path), "data.wehre=3"]
    code, _, err = check(capsys, *words)
    assert code == 2
    assert "Did you mean 'data.where'" in err
    assert "data.columns" in err


def test_other_sets_and_tasks_are_checked_too(capsys):
    assert check(capsys, "check", "shapes")[0] == 0
    code, out, _ = check(capsys, "check", "task/shapes-size")
    assert code == 0
    assert "fits" in out
