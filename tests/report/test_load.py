"""Run folders read, merged and filtered; what is damaged is named."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from tests.report.sweeps import RANK, N, finished, right, task

from ablate.config.errors import ConfigError
from ablate.report.load import load, only
from ablate.results.run_folder import RunFolder


def a_run(sweep: Path, value, seed=0, share=0.5, **columns) -> RunFolder:
    tasks = [task("t", "target", right(share, seed))]
    return finished(sweep, value, seed, tasks, **columns)


def ids(loaded) -> list[str]:
    return list(loaded.results["run_id"])


def test_folders_of_two_machines_are_merged_by_run_id(tmp_path):
    one, two = tmp_path / "one" / "rank", tmp_path / "two" / "rank"
    a_run(one, 8)
    a_run(one, 16)
    a_run(two, 8, 1)
    shutil.copytree(one / "runs" / "run-16-seed0", two / "runs" / "run-16-seed0")
    loaded = load([one, two])
    assert ids(loaded) == ["run-8-seed0", "run-8-seed1", "run-16-seed0"]
    assert loaded.places["run-8-seed1"] == two / "runs" / "run-8-seed1"
    assert loaded.notes == ()
    assert len(loaded.tasks) == 3


def test_a_finished_run_counts_before_a_failed_one_wherever_it_is(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    a_run(one, 8)
    failed = a_run(two, 8)
    record = failed.read()
    record.row |= {"status": "failed", "error": "no", "finished_at": "2027-01-01T00:00:00+00:00"}
    failed.rewrite(record)
    for order in ([one, two], [two, one]):
        loaded = load(order)
        assert loaded.places["run-8-seed0"] == one / "runs" / "run-8-seed0"
        assert loaded.failed.empty


def test_the_same_run_with_other_answers_is_said(tmp_path):
    for name in ("one", "two"):
        folder = a_run(tmp_path / name, 8)
        record = folder.read()
        record.digest = name
        folder.rewrite(record)
    (note,) = load([tmp_path / "one", tmp_path / "two"]).notes
    assert note.startswith("run-8-seed0: two folders have it with other answers")


def test_one_seed_of_a_configuration_counts_once_whatever_it_is_called(tmp_path):
    older = a_run(tmp_path, 8).path
    record = json.loads((older / "result.json").read_text())
    record["row"]["run_id"] = "renamed"
    shutil.copytree(older, tmp_path / "runs" / "renamed")
    (tmp_path / "runs" / "renamed" / "result.json").write_text(json.dumps(record))
    os.utime(older / "result.json", (1000, 1000))
    loaded = load([tmp_path])
    assert ids(loaded) == ["renamed"]
    assert loaded.notes == ("run-8-seed0 is renamed again: the last one counts",)


def test_damaged_runs_are_named_and_the_others_are_there(tmp_path):
    a_run(tmp_path, 8)
    (a_run(tmp_path, 16).path / "result.json").write_text("{")
    loaded = load([tmp_path])
    assert ids(loaded) == ["run-8-seed0"]
    assert list(loaded.damaged) == ["run-16-seed0"]


def test_a_run_that_is_whole_elsewhere_is_not_damaged(tmp_path):
    a_run(tmp_path / "one", 8)
    (a_run(tmp_path / "two", 8).path / "result.json").write_text("{")
    assert load([tmp_path / "one", tmp_path / "two"]).damaged == {}


def test_the_ablation_is_that_of_the_record_written_last_with_the_values_of_all(tmp_path):
    older, newer = (
        a_run(tmp_path, value, ablation=replace(RANK, values=values, baseline=value))
        for value, values in ((16, [16]), (8, [8, 64]))
    )
    for folder, seconds in ((older, 1000), (newer, 2000)):
        os.utime(folder.path / "result.json", (seconds, seconds))
    loaded = load([tmp_path])
    assert loaded.ablations["rank"].values == [8, 64, 16]
    assert loaded.ablations["rank"].baseline == 8
    (note,) = loaded.notes
    assert note == "runs of rank name several baselines; that of the record written last counts"


def test_a_record_of_version_0_1_finds_its_ablation_in_its_configuration(tmp_path):
    folder = a_run(tmp_path, 8)
    path = folder.path / "result.json"
    content = json.loads(path.read_text())
    content["point"] = content["row"].pop("config_id")
    ablation = content.pop("ablation")
    path.write_text(json.dumps(content))
    lines = json.dumps({"ablation": {**ablation, "cost": "9 runs", "value": 8}})
    (folder.path / "config.yaml").write_text(lines)
    loaded = load([tmp_path])
    assert loaded.ablations["rank"] == RANK
    assert list(loaded.results["config_id"]) == ["8"]


def test_where_keeps_the_runs_with_that_value(tmp_path):
    a_run(tmp_path, 8, method="lora")
    a_run(tmp_path, 16, method="lora", encoder_frozen=True)
    a_run(tmp_path, 16, 1, method="lorsu", encoder_frozen=False)
    loaded = load([tmp_path])
    assert ids(only(loaded, {"method": "lora"})) == ["run-8-seed0", "run-16-seed0"]
    assert ids(only(loaded, {"method": "lora", "value": "16"})) == ["run-16-seed0"]
    assert ids(only(loaded, {"value": "16.0", "seed": "1"})) == ["run-16-seed1"]
    assert ids(only(loaded, {"encoder_frozen": "false"})) == ["run-16-seed1"]
    kept = only(loaded, {"method": "lorsu"})
    assert [record.row["run_id"] for record in kept.records] == ["run-16-seed1"]
    assert list(kept.tasks["run_id"]) == ["run-16-seed1"]
    assert kept.tasks["n"].tolist() == [N]


def test_where_finds_an_empty_cell_and_a_whole_number_beside_one(tmp_path):
    a_run(tmp_path, 8, method="lora")
    a_run(tmp_path, 16, method="lorsu", top_k_heads=2)
    loaded = load([tmp_path])
    for given in ("none", ""):
        assert ids(only(loaded, {"top_k_heads": given})) == ["run-8-seed0"]
    assert ids(only(loaded, {"top_k_heads": "2"})) == ["run-16-seed0"]
    with pytest.raises(ConfigError, match=r"Available: none, 2\.$"):
        only(loaded, {"top_k_heads": "4"})


def test_a_filter_or_a_folder_that_is_wrong_is_said(tmp_path):
    a_run(tmp_path, 8, method="lora")
    loaded = load([tmp_path])
    with pytest.raises(ConfigError, match="Did you mean 'method'"):
        only(loaded, {"methd": "lora"})
    with pytest.raises(ConfigError, match=r"method=full, which no run has\. Available: lora"):
        only(loaded, {"method": "full"})
    with pytest.raises(ConfigError, match="has no runs"):
        load([tmp_path / "runs"])
