"""A job array on a real Slurm: jobs that fail, are cancelled and run out of time; and the next call."""

import os
import re
import signal
import subprocess
import time

import pandas as pd
import pytest
from tests.clusters.calls import process_of, start, wait_for
from tests.clusters.slurm_node import slurm_node
from tests.conftest import instead

pytestmark = pytest.mark.cluster

SWEEP = [
    "+ablation=rank",
    "ablation.values=[2,3,4,5,6]",
    "ablation.baseline=2",
    "seeds=[0]",
    "train.epochs=100",
    "save_model=true",
]
SLURM = ["cluster=slurm", "cluster.gpus=null", "cluster.cpus=1", "cluster.memory_gb=1"]


@pytest.fixture(scope="module", autouse=True)
def slurm():
    with slurm_node() as configuration, pytest.MonkeyPatch.context() as patched:
        patched.setenv("SLURM_CONF", str(configuration))
        yield


def slurm_says(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def jobs_in(state):
    """Ids of the jobs in a state, as array and place."""
    words = slurm_says(
        "squeue", "--noheader", "--array", f"--states={state}", "--format=%i"
    ).split()
    return sorted(words)


def test_what_became_of_each_job_is_in_its_row_and_the_next_call_makes_only_what_is_missing(
    arguments, tmp_path, folders_of, ablate_run, capsys
):
    folders = folders_of(instead(arguments, SWEEP))
    # Rank 3 fails at the end of the run: a file is where its model is to go.
    folders[3].path.mkdir(parents=True)
    folders[3].model_path.write_text("in the way")
    # Nothing is sent ahead of the time limit, as if the process did not listen.
    process = start(arguments, *SWEEP, *SLURM, "hydra.launcher.signal_delay_s=0")

    # Rank 2 hangs, and has one minute in all; rank 6 is cancelled in the queue and rank 4 while it runs.
    os.kill(wait_for(lambda: process_of(folders[2]), process), signal.SIGSTOP)
    array = jobs_in("RUNNING")[0].partition("_")[0]
    slurm_says("scontrol", "update", f"JobId={array}_0", "TimeLimit=1")
    slurm_says("scancel", f"{array}_4")
    wait_for(lambda: process_of(folders[4]), process)
    slurm_says("scancel", f"{array}_2")
    # Meanwhile rank 2 has a minute to wait for.
    check_that_stopping_a_call_cancels_its_jobs(arguments, tmp_path)
    check_that_what_slurm_does_not_take_is_one_line(arguments, tmp_path)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 1, output
    assert "Traceback" not in output
    assert "4 of 5 runs failed" in output
    table = pd.read_csv(tmp_path / "outputs" / "rank" / "results.csv").set_index("value")
    assert dict(table["status"]) == {
        2: "interrupted",
        3: "failed",
        4: "interrupted",
        5: "ok",
        6: "interrupted",
    }
    errors = table["error"]
    assert f"Slurm job {array}_0: TIMEOUT after 1:" in errors[2]
    assert "DUE TO TIME LIMIT" in errors[2]
    assert "NotADirectoryError" in errors[3]
    assert f"Slurm job {array}_2: CANCELLED after" in errors[4]
    assert f"Slurm job {array}_4: left the queue before it began: cancelled" in errors[6]
    for rank in (2, 3, 4, 6):
        assert errors[rank].split(":")[0] in folders[rank].log_path.read_text()
        assert errors[rank] in output
    done = table["started_at"][5]

    folders[3].model_path.unlink()
    few = instead(SWEEP, ["ablation.values=[2,3,5]"])
    again = start(
        arguments, *few, "hydra/launcher=submitit_slurm", "hydra.launcher.cpus_per_task=1"
    )
    output, _ = again.communicate(timeout=300)
    assert again.returncode == 0, output
    assert "1 already done, 2 to run" in output
    # Begun on Slurm, finished here.
    assert ablate_run(*SWEEP)[0] == 0
    assert "3 already done, 2 to run" in capsys.readouterr().out
    after = pd.read_csv(tmp_path / "outputs" / "rank" / "results.csv")
    assert after.set_index("value")["started_at"][5] == done
    assert list(after["run_id"]) == [folders[rank].run_id for rank in (2, 3, 4, 5, 6)]
    assert set(after["status"]) == {"ok"}
    assert after["error"].isna().all()


def check_that_stopping_a_call_cancels_its_jobs(arguments, tmp_path):
    words = ["name=stopped", "train.epochs=5000", "ablation.values=[2,3,4]"]
    process = start(arguments, *instead([*SWEEP, *SLURM], words))
    wait_for(lambda: list(tmp_path.glob("outputs/stopped/runs/*/audit.csv")), process)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 130, output
    array = re.search(r"Slurm job (\d+): 3 runs in the queue", output)[1]
    assert "cancelled 3 Slurm jobs" in output
    assert "Traceback" not in output
    deadline = time.monotonic() + 60
    while any(job.startswith(f"{array}_") for job in jobs_in("PENDING,RUNNING,COMPLETING")):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    rows = pd.read_csv(tmp_path / "outputs" / "stopped" / "results.csv")
    assert set(rows["status"]) == {"interrupted"}


def check_that_what_slurm_does_not_take_is_one_line(arguments, tmp_path):
    process = start(arguments, *SWEEP, *SLURM, "cluster.partition=nope", "name=refused")
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 2, output
    assert "invalid partition specified: nope" in output
    assert "Its partitions: debug." in output
    assert "Traceback" not in output
    assert not list(tmp_path.glob("outputs/refused/runs/*"))
