"""Runs that are killed, and runs that meet."""

import importlib
import json
import signal
import sys
import time
from contextlib import suppress

import pandas as pd
import pytest
from tests.conftest import instead
from tests.lost import interrupted_in_torch
from tests.processes import Call

SWEEP = [
    "+ablation=rank",
    "ablation.values=[2,3,4,5]",
    "ablation.baseline=2",
    "seeds=[0]",
    "train.epochs=4",
]
VARYING = ["_seconds", "_at", "_bytes"]


@pytest.fixture
def start(arguments, tmp_path):
    """Start a sweep with some words in the place of others."""
    calls = []

    def call(*words):
        replaced = instead(arguments, instead(SWEEP, words))
        calls.append(Call(["run", *replaced], tmp_path / f"{len(calls)}.log"))
        return calls[-1]

    return call


def numbers(folder):
    table = pd.read_csv(folder / "results.csv")
    kept = [column for column in table.columns if not column.endswith(tuple(VARYING))]
    return table[kept]


def test_kill_loses_at_most_the_run_in_flight_and_the_end_is_the_same(start, tmp_path):
    sweep = tmp_path / "outputs" / "rank"
    killed = start()
    deadline = time.monotonic() + 120
    while (
        len(list(sweep.glob("runs/*/result.json"))) < 2
        and killed.is_alive
        and time.monotonic() < deadline
    ):
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    output = killed.wait()
    done = {path: path.stat().st_mtime_ns for path in sweep.glob("runs/*/result.json")}
    assert len(done) >= 2, output
    assert all(json.loads(path.read_text())["row"]["status"] == "ok" for path in done)
    resumed = start()
    output = resumed.wait()
    assert resumed.returncode == 0, output
    assert f"{len(done)} already done" in output
    assert all(path.stat().st_mtime_ns == written for path, written in done.items())
    whole = start("name=whole")
    output = whole.wait()
    assert whole.returncode == 0, output
    pd.testing.assert_frame_equal(numbers(sweep), numbers(tmp_path / "outputs" / "whole"))


@pytest.mark.parametrize("signal_", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_an_interruption_leaves_its_row_at_once_and_the_next_call_goes_on(start, tmp_path, signal_):
    sweep = tmp_path / "outputs" / "rank"
    stopped = start("train.epochs=2000")
    deadline = time.monotonic() + 120
    while not list(sweep.glob("runs/*/audit.csv")) and time.monotonic() < deadline:
        time.sleep(0.01)
    stopped.send_signal(signal_)
    output = stopped.wait()
    assert stopped.returncode == 130, output
    assert "Traceback" not in output
    assert "interrupted; run the same command again" in output
    row = pd.read_csv(sweep / "results.csv").iloc[0]
    assert (row["status"], row["value"]) == ("interrupted", 2)
    assert not list(sweep.rglob("*.tmp"))


def test_two_calls_at_once_share_the_work(start, tmp_path):
    both = [start(), start()]
    outputs = [call.wait() for call in both]
    assert [call.returncode for call in both] == [0, 0], outputs
    table = pd.read_csv(tmp_path / "outputs" / "rank" / "results.csv")
    assert list(table["value"]) == [2, 3, 4, 5]
    assert set(table["status"]) == {"ok"}


def another_error(call):
    interrupted_in_torch(signal.SIGTERM)
    return call()


def no_error(call):
    with suppress(BaseException):
        signal.raise_signal(signal.SIGTERM)
    return call()


@pytest.mark.parametrize(
    ("lost", "where", "statuses"),
    [
        (another_error, "ablate.runner.run.borrowed", ["interrupted"]),
        (another_error, "ablate.runner.run.session_results", ["interrupted"]),
        (another_error, "ablate.runner.job.is_done", []),
        (another_error, "ablate.sweep.sweeper.expand", []),
        (no_error, "ablate.runner.run.borrowed", ["interrupted"]),
        (no_error, "ablate.runner.run.session_results", ["ok"]),
        (no_error, "ablate.sweep.sweeper.expand", []),
    ],
)
def test_an_interruption_whose_exception_was_lost_is_one_all_the_same(
    lost, where, statuses, ablate_run, monkeypatch, capsys
):
    module, name = where.rsplit(".", 1)
    real = getattr(importlib.import_module(module), name)
    monkeypatch.setattr(where, lambda *given, **named: lost(lambda: real(*given, **named)))
    code, outputs = ablate_run("seeds=[0,1]", "train.epochs=1")
    assert code == 130
    assert "interrupted; run the same command again" in capsys.readouterr().err
    table = outputs / "run" / "results.csv"
    found = pd.read_csv(table)["status"].tolist() if statuses else []
    assert found == statuses
    monkeypatch.undo()
    monkeypatch.setattr(sys, "argv", ["ablate"])
    code, outputs = ablate_run("seeds=[0,1]", "train.epochs=1")
    assert code == 0
    assert pd.read_csv(table)["status"].tolist() == ["ok", "ok"]
