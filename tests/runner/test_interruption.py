"""Runs that are killed, and runs that meet."""

import json
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
from tests.conftest import instead

SWEEP = [
    "+ablation=rank",
    "ablation.values=[2,3,4,5]",
    "ablation.baseline=2",
    "seeds=[0]",
    "train.epochs=4",
]
VARYING = ["_seconds", "_at", "_bytes"]


def start(arguments, *words):
    replaced = instead(arguments, instead(SWEEP, words))
    command = [sys.executable, "-m", "ablate.cli.main", "run", *replaced]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def numbers(folder):
    table = pd.read_csv(folder / "results.csv")
    kept = [column for column in table.columns if not column.endswith(tuple(VARYING))]
    return table[kept]


def test_kill_loses_at_most_the_run_in_flight_and_the_end_is_the_same(arguments, tmp_path):
    sweep = tmp_path / "outputs" / "rank"
    killed = start(arguments)
    deadline = time.monotonic() + 120
    while (
        len(list(sweep.glob("runs/*/result.json"))) < 2
        and killed.poll() is None
        and time.monotonic() < deadline
    ):
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    output, _ = killed.communicate()
    done = {path: path.stat().st_mtime_ns for path in sweep.glob("runs/*/result.json")}
    assert len(done) >= 2, output
    assert all(json.loads(path.read_text())["row"]["status"] == "ok" for path in done)
    resumed = start(arguments)
    output, _ = resumed.communicate(timeout=300)
    assert resumed.returncode == 0, output
    assert f"{len(done)} already done" in output
    assert all(path.stat().st_mtime_ns == written for path, written in done.items())
    whole = start(arguments, "name=whole")
    output, _ = whole.communicate(timeout=300)
    assert whole.returncode == 0, output
    pd.testing.assert_frame_equal(numbers(sweep), numbers(tmp_path / "outputs" / "whole"))


@pytest.mark.parametrize("signal_", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_an_interruption_leaves_its_row_at_once_and_the_next_call_goes_on(
    arguments, tmp_path, signal_
):
    sweep = tmp_path / "outputs" / "rank"
    stopped = start(arguments, "train.epochs=2000")
    deadline = time.monotonic() + 120
    while not list(sweep.glob("runs/*/audit.csv")) and time.monotonic() < deadline:
        time.sleep(0.01)
    stopped.send_signal(signal_)
    output, _ = stopped.communicate(timeout=120)
    assert stopped.returncode == 130, output
    assert "Traceback" not in output
    assert "interrupted; run the same command again" in output
    row = pd.read_csv(sweep / "results.csv").iloc[0]
    assert (row["status"], row["value"]) == ("interrupted", 2)
    assert not list(sweep.rglob("*.tmp"))


def test_two_calls_at_once_share_the_work(arguments, tmp_path):
    both = [start(arguments), start(arguments)]
    outputs = [process.communicate(timeout=300)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    table = pd.read_csv(tmp_path / "outputs" / "rank" / "results.csv")
    assert list(table["value"]) == [2, 3, 4, 5]
    assert set(table["status"]) == {"ok"}
