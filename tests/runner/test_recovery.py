"""What was trained is never trained twice, whatever goes wrong after it."""

import json

import pandas as pd
import pyarrow as pa
import pytest
import torch
from safetensors.torch import load_file
from tests.conftest import read_results

from ablate.evaluation.evaluator import Evaluator
from ablate.runner import training

MEASURED_ANEW = ("_seconds", "_at", "_bytes")


def numbers(sweep) -> pd.DataFrame:
    table = read_results(sweep)
    return table[[c for c in table.columns if not c.endswith(MEASURED_ANEW)]]


def only_run(outputs):
    (folder,) = (outputs / "run" / "runs").iterdir()
    return folder


def after_training(fail):
    """Let the base model be evaluated, and nothing else."""
    real = Evaluator.answers

    def answers(evaluator, label, tasks, weights_of):
        return (real if label == "before" else fail)(evaluator, label, tasks, weights_of)

    return answers


@pytest.mark.parametrize(
    "words",
    [
        ["method=lorsu"],
        ["method=lorsu", "loss=clip", "data.sessions=3"],
        ["method=full", "data.sessions=2"],
        ["method=ewc", "data.sessions=2"],
        ["method=adalora", "train.epochs=4"],
        ["method=dora"],
        ["method=lora-f"],
        ["method=lorsu", "method@projector=lora-p", "data.sessions=2"],
        ["method=lorsu-l"],
        ["method=frozen"],
    ],
    ids=" ".join,
)
def test_a_failed_evaluation_costs_no_second_training(ablate_run, monkeypatch, words):
    code, outputs = ablate_run(*words, "name=run")
    assert code == 0
    whole = numbers(outputs / "run")
    update = only_run(outputs) / "adapter.safetensors"
    trained = load_file(update) if update.exists() else {}

    def fail(*_):
        raise RuntimeError("no evaluation today")

    with monkeypatch.context() as patched:
        patched.setattr(Evaluator, "answers", after_training(fail))
        assert ablate_run(*words, "name=run", "force=true")[0] == 1
    row = read_results(outputs / "run").iloc[0]
    assert (row["status"], row["error"]) == ("failed", "RuntimeError: no evaluation today")
    assert pd.isna(row["accuracy"])
    log = (only_run(outputs) / "log.txt").read_text()
    assert "Traceback" in log
    again = load_file(update) if update.exists() else {}
    assert again.keys() == trained.keys()
    assert all(torch.equal(again[name], trained[name]) for name in trained)

    def no_training(*_, **__):
        raise AssertionError("trained a second time")

    with monkeypatch.context() as patched:
        patched.setattr(training, "run_stage", no_training)
        assert ablate_run(*words, "name=run")[0] == 0
    pd.testing.assert_frame_equal(numbers(outputs / "run"), whole)
    assert not (only_run(outputs) / "training.json").exists()


def test_whatever_fails_while_saving_is_a_failed_run_with_a_traceback(ablate_run, monkeypatch):
    def fail(*_):
        raise pa.ArrowInvalid("tried to convert caf\udce9 to boolean")

    with monkeypatch.context() as patched:
        patched.setattr("ablate.results.run_folder.write_items", fail)
        code, outputs = ablate_run("name=run")
    assert code == 1
    row = read_results(outputs / "run").iloc[0]
    assert row["status"] == "failed"
    assert row["error"] == r"ArrowInvalid: tried to convert caf\udce9 to boolean"
    assert "ArrowInvalid" in (only_run(outputs) / "log.txt").read_text()
    assert not (only_run(outputs) / "items.parquet").exists()
    assert ablate_run("name=run")[0] == 0
    assert read_results(outputs / "run")["status"].tolist() == ["ok"]


def test_the_update_is_on_disk_before_anything_is_evaluated_after_it(ablate_run, monkeypatch):
    order: list[str] = []
    for name in ("save_file", "keep_training"):
        wrapped = getattr(training, name)

        def note(*arguments, _name=name, _wrapped=wrapped):
            order.append(_name)
            return _wrapped(*arguments)

        monkeypatch.setattr(training, name, note)
    real = Evaluator.answers
    monkeypatch.setattr(Evaluator, "answers", lambda *a: (order.append(a[1]), real(*a))[1])
    assert ablate_run("name=run", "data.sessions=2")[0] == 0
    trained = ["save_file", "evaluate digits", "save_file", "keep_training", "evaluate digits"]
    assert order == ["before", *trained, "evaluate controls", "tasks"]


@pytest.mark.parametrize("damage", ["update", "record", "precision"])
def test_a_training_that_is_not_whole_is_made_again(ablate_run, monkeypatch, damage):
    def fail(*_):
        raise RuntimeError("no evaluation today")

    with monkeypatch.context() as patched:
        patched.setattr(Evaluator, "answers", after_training(fail))
        _, outputs = ablate_run("name=run")
    folder = only_run(outputs)
    if damage == "update":
        (folder / "adapter.safetensors").write_bytes(b"")
    elif damage == "record":
        (folder / "training.json").write_text("{")
    else:
        content = json.loads((folder / "training.json").read_text())
        content["compute"] = ["cuda", "bf16"]
        (folder / "training.json").write_text(json.dumps(content))
    trained = []
    real = training.run_stage
    monkeypatch.setattr(training, "run_stage", lambda *a: (trained.append(1), real(*a))[1])
    assert ablate_run("name=run")[0] == 0
    assert trained == [1]
