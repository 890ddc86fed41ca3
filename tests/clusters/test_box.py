"""Runs on eight GPUs that Ray is told of: none is lent twice, and workers that are killed are replaced."""

import itertools
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest
from tests.clusters.calls import process_of, start, wait_for
from tests.conftest import instead

pytestmark = pytest.mark.cluster

N_GPUS = 8
VALUES = [2, 3, 4, 5, 6, 7]
SWEEP = [
    "+ablation=rank",
    f"ablation.values=[{','.join(map(str, VALUES))}]",
    "ablation.baseline=2",
    "seeds=[0]",
    "train.epochs=20",
]


@pytest.fixture(scope="module", autouse=True)
def token(tmp_path_factory):
    """A token of the tests' own, in the place of one that Ray would leave in the home folder."""
    path = tmp_path_factory.mktemp("ray") / "token"
    path.touch(mode=0o600)
    path.write_text(secrets.token_hex(32))
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("RAY_AUTH_MODE", "token")
        patched.setenv("RAY_AUTH_TOKEN_PATH", str(path))
        yield


@pytest.fixture(scope="module")
def address(token, tmp_path_factory):  # noqa: ARG001  # Ray reads it
    """A Ray cluster of one machine that is said to have eight GPUs."""
    said = tmp_path_factory.mktemp("head") / "out"
    for _ in range(3):
        port = free_port()
        head = ray_head(port, said)
        try:
            # Ray gives up after half a minute, which is short on a machine with other work.
            while head.poll() is None and "Ray runtime started" not in said.read_text():
                time.sleep(0.2)
            if head.poll() is None:
                yield f"127.0.0.1:{port}"
                return
        finally:
            head.terminate()
            head.wait(timeout=60)
    pytest.fail("Ray does not start")


def ray_head(port, said):
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block"]
    options = {
        "port": port,
        "num-gpus": N_GPUS,
        "num-cpus": 2,
        "object-store-memory": 100 << 20,
        "include-dashboard": "false",
    }
    words = [f"--{key}={value}" for key, value in options.items()]
    with said.open("w") as file:
        return subprocess.Popen(
            [*command, *words, "--disable-usage-stats"], stdout=file, stderr=subprocess.STDOUT
        )


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextmanager
def killing(folder):
    """Kill each process that makes a run; yield which they were."""
    killed, stop = [], threading.Event()

    def watch():
        while not stop.is_set():
            process = process_of(folder)
            if process is not None and process not in killed:
                killed.append(process)
                os.kill(process, signal.SIGKILL)
            time.sleep(0.02)

    killer = threading.Thread(target=watch)
    killer.start()
    try:
        yield killed
    finally:
        stop.set()
        killer.join()


def test_no_gpu_is_lent_twice_and_a_run_whose_worker_was_killed_is_made_again(
    arguments, tmp_path, folders_of, address
):
    folders = folders_of(instead(arguments, SWEEP))
    # Two GPUs for each: room for four of the six runs at once.
    cluster = ["cluster=box", f"cluster.address={address}", "cluster.gpus=2", "cluster.tries=2"]
    process = start(arguments, *SWEEP, *cluster, "device=cpu")
    with killing(folders[5]) as killed:
        once = wait_for(lambda: process_of(folders[3]), process)
        os.kill(once, signal.SIGKILL)
        output, _ = process.communicate(timeout=300)
    assert process.returncode == 1, output
    assert "Traceback" not in output
    assert len(killed) == 2
    table = pd.read_csv(tmp_path / "outputs" / "rank" / "results.csv")
    assert list(table["value"]) == VALUES
    rows = table.set_index("value")
    assert dict(rows["status"]) == {v: "failed" if v == 5 else "ok" for v in VALUES}
    assert f"process {killed[-1]} on GPU" in rows["error"][5]
    assert "2 processes have died making this run" in rows["error"][5]
    assert f"run 2 of 6 is made again: its process {once} on GPU" in output
    assert process_of(folders[3]) != once

    used = {}
    for value, row in rows[rows["status"] == "ok"].iterrows():
        log = folders[value].log_path.read_text()
        one, other = re.findall(r"made on .*, GPU (\d),(\d)$", log, re.MULTILINE)[-1]
        assert one != other
        for gpu in (one, other):
            used.setdefault(int(gpu), []).append((row["started_at"], row["finished_at"]))
    assert set(used) <= set(range(N_GPUS))
    assert len(used) > 2
    for times in used.values():
        times.sort()
        for (_, finished), (started, _) in itertools.pairwise(times):
            assert finished <= started

    # The next call makes the one that is missing.
    again = start(arguments, *SWEEP, *cluster, "device=cpu")
    output, _ = again.communicate(timeout=300)
    assert again.returncode == 0, output
    assert "5 already done, 1 to run" in output
    assert set(pd.read_csv(tmp_path / "outputs" / "rank" / "results.csv")["status"]) == {"ok"}


def descendants(process):
    """Return the processes below one."""
    children = [
        int(word)
        for path in Path(f"/proc/{process}/task").glob("*/children")
        for word in path.read_text().split()
    ]
    return {*children, *(below for child in children for below in descendants(child))}


def test_stopping_the_call_leaves_rows_and_no_process(arguments, tmp_path):
    words = ["ablation.values=[2,3]", "train.epochs=5000", "cluster=box", "cluster.gpus=0"]
    process = start(arguments, *instead(SWEEP, words))
    wait_for(lambda: list(tmp_path.glob("outputs/rank/runs/*/audit.csv")), process)
    below = descendants(process.pid)
    assert len(below) > 3
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 130, output
    assert "Traceback" not in output
    rows = pd.read_csv(tmp_path / "outputs" / "rank" / "results.csv")
    assert set(rows["status"]) == {"interrupted"}
    deadline = time.monotonic() + 30
    while left := {one for one in below if Path(f"/proc/{one}").exists()}:
        assert time.monotonic() < deadline, left
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["cluster.address=127.0.0.1:9"], "nothing answers there"),
        (["cluster.address=ray://127.0.0.1:9"], "allowed: auto, or HOST:PORT"),
        ([], "cluster.gpus is 1, but this machine has 0 that torch can use"),
    ],
)
def test_a_place_that_is_not_there_is_one_line(arguments, tmp_path, words, said):
    process = start(arguments, *SWEEP, "cluster=box", *words)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 2, output
    assert said in output
    assert "Traceback" not in output
    assert not list(tmp_path.glob("outputs/rank/runs/*"))
