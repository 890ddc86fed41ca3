"""Run folders and the tables made from them."""

import json
import multiprocessing
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from ablate.results.columns import COLUMNS
from ablate.results.files import replacing, write_text
from ablate.results.record import RunRecord, TaskResult
from ablate.results.run_folder import RunFolder
from ablate.results.tables import rebuild

OWNER = """
import sys
from pathlib import Path
from ablate.results.run_folder import RunFolder
with RunFolder(Path(sys.argv[1]), sys.argv[2]).owned(wait=True):
    print("owned", flush=True)
    sys.stdin.read()
"""
TASK = TaskResult("shapes", "target", "accuracy", 0.5, 0.25, 0.2, 8, 0.17)


def finished(sweep: Path, value: int, seed: int = 0, **columns) -> RunFolder:
    folder = RunFolder(sweep, f"rank-{value}-seed{seed}")
    row = {"run_id": folder.run_id, "ablation": "rank", "value": value, "seed": seed}
    with folder.owned(wait=True):
        folder.begin({"seed": seed}, RunRecord({**row, "status": "interrupted"}))
        folder.finish(RunRecord({**row, "status": "ok", **columns}, [TASK]), None)
    return folder


def started(folder: RunFolder) -> RunRecord:
    return RunRecord({"run_id": folder.run_id, "seed": 0, "status": "interrupted"})


def test_tables_have_the_contract_columns_in_order_of_value_and_seed(tmp_path):
    for value, seed in [(64, 1), (8, 0), (64, 0)]:
        finished(tmp_path, value, seed, accuracy=0.5)
    rebuild(tmp_path)
    table = pd.read_csv(tmp_path / "results.csv")
    assert list(table.columns) == list(COLUMNS)
    assert list(zip(table["value"], table["seed"], strict=True)) == [(8, 0), (64, 0), (64, 1)]
    tasks = pd.read_csv(tmp_path / "tasks.csv")
    assert list(tasks.columns[:4]) == ["run_id", "task", "kind", "metric"]
    assert len(tasks) == 3


def test_what_was_not_measured_is_an_empty_cell(tmp_path):
    finished(tmp_path, 8)
    finished(tmp_path, 16, n_items=4)
    rebuild(tmp_path)
    header, first, second = (tmp_path / "results.csv").read_text().splitlines()
    at = header.split(",").index
    assert first.split(",")[at("accuracy")] == ""
    assert first.split(",")[at("n_items")] == ""
    assert second.split(",")[at("n_items")] == "4"


def test_a_run_that_never_ended_is_interrupted_and_one_at_work_is_left_out(tmp_path):
    folder = RunFolder(tmp_path, "rank-8-seed0")
    with folder.owned(wait=False):
        folder.begin({}, started(folder))
    assert list(rebuild(tmp_path)["status"]) == ["interrupted"]
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path), folder.run_id],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout.readline() == b"owned\n"
        assert folder.is_owned()
        assert rebuild(tmp_path).empty
        with folder.owned(wait=False) as mine:
            assert not mine
        other.stdin.close()
    assert other.returncode == 0
    assert not folder.is_owned()


def test_an_interrupted_run_starts_from_an_empty_folder(tmp_path):
    folder = finished(tmp_path, 8)
    folder.begin({}, started(folder))
    assert folder.read().status == "interrupted"
    assert not (folder.path / "result.json").exists()


def test_records_survive_json(tmp_path):
    folder = finished(tmp_path, 8, accuracy=0.1 + 0.2)
    record = folder.read()
    assert record.row["accuracy"] == 0.1 + 0.2
    assert record.tasks == [TASK]
    assert json.loads((folder.path / "result.json").read_text())["row"]["status"] == "ok"


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "table.csv"
    write_text(path, "old")

    def fail() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_many_processes_may_rebuild_at_once(tmp_path):
    for value in range(1, 9):
        finished(tmp_path, value)
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=rebuild, args=(tmp_path,)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for _ in range(20):
        assert len(rebuild(tmp_path)) == 8
        assert len(pd.read_csv(tmp_path / "results.csv")) == 8
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("NA", "'NA"),
        ("null", "'null"),
        ("None", "'None"),
        ("nan", "'nan"),
        ("=1+1", "'=1+1"),
        ("+49", "'+49"),
        ("-dash", "'-dash"),
        ("@user", "'@user"),
        ("plain", "plain"),
        ("two\nlines", "two\\nlines"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\u202eevil", "\\u202eevil"),
        ('Löwe, "gross"', 'Löwe, "gross"'),
    ],
)
def test_a_text_stays_the_text_it_is(tmp_path, text, written):
    finished(tmp_path, 8, model=text)
    finished(tmp_path, 16, model="other")
    rebuild(tmp_path)
    assert pd.read_csv(tmp_path / "results.csv")["model"].tolist() == [written, "other"]


def test_numbers_stay_numbers(tmp_path):
    finished(tmp_path, -8, control_change=-0.5)
    rebuild(tmp_path)
    row = pd.read_csv(tmp_path / "results.csv").iloc[0]
    assert (row["value"], row["control_change"]) == (-8, -0.5)


def test_configurations_that_nothing_else_tells_apart_differ_in_their_id(tmp_path):
    finished(tmp_path, 8, 0, config_id="a")
    finished(tmp_path, 8, 1, config_id="b")
    rebuild(tmp_path)
    assert pd.read_csv(tmp_path / "results.csv")["config_id"].tolist() == ["a", "b"]
