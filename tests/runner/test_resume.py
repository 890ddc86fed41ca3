"""A run that ends in the middle of its training or evaluation goes on there, and comes to the same numbers."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from tests.conftest import read_results

from ablate.cli.run import run
from ablate.evaluation.progress import Progress
from ablate.training.trainer import Trainer

MEASURED_ANEW = ("_seconds", "_at", "_bytes")


@pytest.fixture(autouse=True)
def fresh_process(monkeypatch):
    """Hold no answers in memory that an earlier test has computed."""
    monkeypatch.setattr("ablate.evaluation.cache._held", {})


class Killed(BaseException):
    """What nothing in ablate catches, as nothing catches SIGKILL."""


@contextmanager
def ending(place, name, number, how) -> Iterator[list[int]]:
    """End the run at the given call of a method; yield a list with an entry for each call that came through."""
    real, made = getattr(place, name), []

    def call(self, *arguments):
        if len(made) + 1 == number:
            if how is Killed:
                raise Killed
            signal.raise_signal(how)
        made.append(1)
        return real(self, *arguments)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(place, name, call)
        yield made


def only_run(sweep):
    (folder,) = (sweep / "runs").iterdir()
    return folder


def outcome(sweep):
    """Everything that two sweeps must have in common."""
    table = read_results(sweep)
    folder = only_run(sweep)
    update = folder / "adapter.safetensors"
    return (
        table[[c for c in table.columns if not c.endswith(MEASURED_ANEW)]],
        pd.read_csv(sweep / "tasks.csv"),
        pd.read_parquet(folder / "items.parquet"),
        load_file(update) if update.exists() else {},
    )


def assert_same(one, other):
    for left, right in zip(one[:3], other[:3], strict=True):
        pd.testing.assert_frame_equal(left, right, check_exact=True)
    assert one[3].keys() == other[3].keys()
    assert all(torch.equal(tensor, other[3][name]) for name, tensor in one[3].items())


def left(sweep):
    names = {path.name for path in only_run(sweep).iterdir()}
    return names & {"checkpoint.safetensors", "answers.json", "training.json", "started.json"}


SMALL = ["train.batch_size=4", "train.epochs=3", "eval.batch_size=16"]
WORDS = ("recall", "position", "count", "neighbour", "number", "odd")
INSTRUCTIONS = [
    *("+ablation=freeze", "ablation.values=[lorsu]", "ablation.baseline=lorsu", "seeds=[0]"),
    *("data.scenes=96", "train.epochs=1", "tasks.tasks.place.items=40", "eval.batch_size=16"),
    *(f"tasks.tasks.{name}.items=20" for name in ("shape", "colour", "size", "texture", "count")),
    *(f"tasks.tasks.words-{name}.items=8" for name in WORDS),
]


def test_ends_inside_a_run_change_no_number(ablate_run):
    words = ["method=lorsu", "data.sessions=2"]
    with (
        ending(Trainer, "make_step", 0, Killed) as steps,
        ending(Progress, "keep", 0, Killed) as batches,
    ):
        code, outputs = ablate_run(*words, *SMALL, "name=calm")
    assert code == 0
    calm = outcome(outputs / "calm")
    rough = [*words, *SMALL, "name=rough"]
    with ending(Trainer, "make_step", 6, Killed) as first, pytest.raises(Killed):
        ablate_run(*rough, "checkpoint.steps=2")
    with ending(Trainer, "make_step", 3, signal.SIGUSR1) as second:
        assert ablate_run(*rough)[0] == 130
    assert read_results(outputs / "rough")["status"].tolist() == ["interrupted"]
    assert "checkpoint.safetensors" in left(outputs / "rough")
    with (
        ending(Trainer, "make_step", 0, Killed) as third,
        ending(Progress, "keep", 2, signal.SIGTERM) as answered,
    ):
        assert ablate_run(*rough)[0] == 130
    with (
        ending(Trainer, "make_step", 0, Killed) as fourth,
        ending(Progress, "keep", 0, Killed) as rest,
    ):
        assert ablate_run(*rough)[0] == 0
    assert_same(outcome(outputs / "rough"), calm)
    assert left(outputs / "rough") == set()
    # The kill loses the step after the last save; nothing else is done twice. The base model's answers are shared.
    assert (len(first), len(second), len(answered)) == (5, 3, 2)
    assert sum(map(len, (first, second, third, fourth))) == len(steps) + 1
    assert len(answered) + len(rest) == len(batches) - 3


def test_ends_in_both_stages_of_instructions_change_no_number(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["ablate"])
    words = [*INSTRUCTIONS, f"output_dir={tmp_path}"]
    with ending(Trainer, "make_step", 0, Killed) as steps:
        assert run([*words, "name=calm"]) == 0
    with ending(Trainer, "make_step", 2, signal.SIGTERM):
        assert run([*words, "name=rough"]) == 130
    with ending(Trainer, "make_step", 2, Killed), pytest.raises(Killed):
        run([*words, "name=rough", "checkpoint.steps=1"])
    with ending(Trainer, "make_step", 0, Killed) as rest:
        assert run([*words, "name=rough"]) == 0
    assert_same(outcome(tmp_path / "rough"), outcome(tmp_path / "calm"))
    # Two steps of each stage: all of the first were kept by the signal, one of the second by the count.
    assert (len(steps), len(rest)) == (4, 1)
    log = (only_run(tmp_path / "rough") / "log.txt").read_text()
    assert "align goes on after step 2" in log
    assert "fine-tune goes on after step" in log


def test_a_damaged_state_is_set_aside_in_one_line_and_training_begins_anew(
    ablate_run, capsys, tmp_path
):
    with ending(Trainer, "make_step", 3, signal.SIGTERM):
        assert ablate_run(*SMALL, "name=rough")[0] == 130
    sweep = tmp_path / "outputs" / "rough"
    file = only_run(sweep) / "checkpoint.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])
    capsys.readouterr()
    with ending(Trainer, "make_step", 0, Killed) as steps:
        assert ablate_run(*SMALL, "name=rough")[0] == 0
    (line,) = [x for x in capsys.readouterr().out.splitlines() if file.name in x]
    assert "set aside in" in line
    assert len(steps) == 24
    assert left(sweep) == set()
    assert len(list(sweep.glob("damaged/checkpoint.safetensors-*"))) == 1


def test_damaged_answers_are_not_used(ablate_run):
    with ending(Progress, "keep", 5, signal.SIGTERM):
        assert ablate_run(*SMALL, "name=rough")[0] == 130
    with ending(Progress, "keep", 0, Killed) as whole:
        _, outputs = ablate_run(*SMALL, "name=calm")
    file = only_run(outputs / "rough") / "answers.json"
    text = file.read_text()
    wrong = text.replace('"score": 0.0', '"score": 1.0', 1)
    assert wrong != text
    file.write_text(wrong)
    with ending(Progress, "keep", 0, Killed) as again:
        assert ablate_run(*SMALL, "name=rough")[0] == 0
    assert len(again) == len(whole)
    assert_same(outcome(outputs / "rough"), outcome(outputs / "calm"))
    assert "changed since it was written" in (only_run(outputs / "rough") / "log.txt").read_text()


def test_force_begins_anew(ablate_run):
    with ending(Trainer, "make_step", 3, signal.SIGTERM):
        ablate_run(*SMALL, "name=rough")
    with ending(Trainer, "make_step", 0, Killed) as steps:
        assert ablate_run(*SMALL, "name=rough", "force=true")[0] == 0
    assert len(steps) == 24


def test_a_full_disk_costs_the_state_and_not_the_run(ablate_run, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("ablate.results.checkpoint.write_tensors", full)
        patched.setattr("ablate.evaluation.kept.write_text", full)
        code, outputs = ablate_run(*SMALL, "name=rough", "checkpoint.steps=1")
    assert code == 0
    log = (only_run(outputs / "rough") / "log.txt").read_text()
    assert "the state of the training could not be kept: [Errno 28]" in log
    assert "the answers so far could not be kept: [Errno 28]" in log


def test_one_evaluation_fails_and_its_answers_stay(ablate_run, monkeypatch):
    def broken(self, found):
        if len(calls) == 5:
            raise RuntimeError("no more today")
        calls.append(1)
        real(self, found)

    real, calls = Progress.keep, []
    with monkeypatch.context() as patched:
        patched.setattr(Progress, "keep", broken)
        assert ablate_run(*SMALL, "name=rough")[0] == 1
    with ending(Progress, "keep", 0, Killed) as rest:
        assert ablate_run(*SMALL, "name=rough")[0] == 0
    assert len(rest) == 1
