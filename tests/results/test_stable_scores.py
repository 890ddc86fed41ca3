"""Stable scores in the tables of a sweep, from run folders."""

import json
from dataclasses import replace

import pandas as pd
import pytest

from ablate.results.columns import COLUMNS, STABLE_TASK_COLUMNS
from ablate.results.record import (
    RunRecord,
    StableRules,
    SuiteRecord,
    TaskResult,
)
from ablate.results.run_folder import RunFolder
from ablate.results.tables import read_stable_tasks, rebuild

RULES = StableRules(noise_multiple=2.0, negligible_noise=1.0, largest_noise_share=0.5)
SUITE = SuiteRecord(
    "small",
    {"vision": ["shape", "count"], "text": ["recall"]},
    {"vision": "auto", "text": "auto"},
    RULES,
)
# Of encoder and seed: shape tells encoders apart, count jumps with the seed.
SHAPE = {"siglip": (0.60, 0.60), "patches": (0.40, 0.40)}
COUNT = {"siglip": (0.30, 0.70), "patches": (0.70, 0.30)}


def task(name: str, value: float | None, kind="vision", chance=0.2) -> TaskResult:
    return TaskResult(name, kind, "accuracy", value, None, chance, 400, 0.02)


def finished(sweep, encoder="siglip", seed=0, *, left_out=(), suite=SUITE, **columns):
    columns = {"status": "ok", "ablation": "encoder", "axis": "encoder", "value": encoder} | columns
    tasks = [
        task("shape", SHAPE[encoder][seed]),
        task("count", COUNT[encoder][seed]),
        task("recall", 0.5, "text"),
        task("shape", 0.9, "target"),  # the data set that was trained on is not a task of the suite
    ]
    folder = RunFolder(sweep, f"{columns['ablation']}-{encoder}-seed{seed}")
    row = {"run_id": folder.run_id, "seed": seed, "encoder": encoder, **columns}
    kept = [task for task in tasks if task.task not in left_out]
    with folder.owned(wait=True):
        folder.begin({}, RunRecord({**row, "status": "interrupted"}))
        folder.finish(RunRecord(row, kept, suite=suite), None)
    return folder


def sweep_of_four(sweep, **given):
    for encoder in SHAPE:
        for seed in (0, 1):
            finished(sweep, encoder, seed, **given)


def scores(sweep) -> pd.DataFrame:
    rebuild(sweep)
    return pd.read_csv(sweep / "results.csv").set_index("run_id")


def test_rebuild_fills_both_scores_of_every_row_from_the_stable_tasks(tmp_path):
    sweep_of_four(tmp_path)
    table = scores(tmp_path)
    assert list(table.reset_index().columns) == list(COLUMNS)
    assert table["vision_stable_score"].tolist() == pytest.approx([0.25, 0.25, 0.5, 0.5])
    assert table["vision_stable_stderr"].tolist() == pytest.approx([0.025] * 4)
    assert table["text_stable_score"].tolist() == pytest.approx([0.375] * 4)
    assert table["vision_stable_note"].isna().all()


def test_rebuild_writes_the_decision_with_every_task_s_numbers(tmp_path):
    sweep_of_four(tmp_path)
    rebuild(tmp_path)
    table = pd.read_csv(tmp_path / "stable_tasks.csv")
    assert list(table.columns) == list(STABLE_TASK_COLUMNS)
    assert list(zip(table["kind"], table["task"], table["stable"], strict=True)) == [
        ("vision", "shape", True),
        ("vision", "count", False),
        ("text", "recall", True),
    ]
    shape, count, recall = (row for _, row in table.iterrows())
    assert shape["reason"] == "above chance; seed noise 0.000 of spread 0.141"
    assert count["reason"] == "seed noise 0.283 of spread 0.000, allowed 0.020"
    assert recall["reason"] == "above chance; the same in every run"
    assert shape["mean"] == pytest.approx(0.5)
    assert shape["centred"] == pytest.approx(0.375)
    assert (shape["n"], shape["n_runs"], shape["n_points"]) == (400, 4, 2)
    assert (shape["ablation"], shape["suite"], shape["choice"]) == ("encoder", "small", "auto")


def test_a_missing_task_empties_the_score_of_that_run_alone(tmp_path):
    sweep_of_four(tmp_path)
    finished(tmp_path, "siglip", 0, left_out=("count", "recall"))
    table = scores(tmp_path)
    broken = table.loc["encoder-siglip-seed0"]
    assert pd.isna(broken["vision_stable_score"])
    assert pd.isna(broken["vision_stable_stderr"])
    assert broken["vision_stable_note"] == "task 'count' is missing"
    assert broken["text_stable_note"] == "task 'recall' is missing"
    assert table["vision_stable_score"].notna().sum() == 3


def test_a_list_needs_its_own_tasks_only_and_is_not_decided(tmp_path):
    listed = replace(SUITE, stable={"vision": ["count"], "text": ["recall", "analogy"]})
    sweep_of_four(tmp_path, suite=listed)
    finished(tmp_path, "siglip", 0, suite=listed, left_out=("shape",))
    table = scores(tmp_path)
    assert table["vision_stable_score"].tolist() == pytest.approx([0.625, 0.125, 0.125, 0.625])
    assert table["text_stable_score"].isna().all()
    assert set(table["text_stable_note"]) == {"task 'analogy' is missing"}
    decisions = read_stable_tasks(tmp_path).set_index("task")
    assert decisions["reason"].tolist() == [
        "not listed in the configuration",
        *["listed in the configuration"] * 3,
    ]
    assert decisions.loc["count", "seed_sd"] == pytest.approx(0.283, abs=1e-3)
    assert decisions.loc["analogy", "n_runs"] == 0


def test_no_stable_task_says_so(tmp_path):
    only_count = replace(SUITE, expected={"vision": ["count"], "text": []})
    sweep_of_four(tmp_path, suite=only_count)
    table = scores(tmp_path)
    assert set(table["vision_stable_note"]) == {"no task is stable"}
    assert table["vision_stable_score"].isna().all()
    assert table["text_stable_note"].isna().all()  # no text tasks: nothing to explain


def test_runs_that_did_not_end_well_do_not_count(tmp_path):
    sweep_of_four(tmp_path)
    for seed in (0, 1):
        finished(tmp_path, "patches", seed, status="diverged", error="the loss is not finite")
    table = scores(tmp_path)
    failed = table.loc["encoder-patches-seed0"]
    assert pd.isna(failed["vision_stable_score"])
    assert pd.isna(failed["vision_stable_note"])
    decisions = read_stable_tasks(tmp_path)
    assert set(decisions["n_runs"]) == {2}
    # One configuration is left: count is above chance and nothing else is known of it.
    assert decisions["stable"].all()


def test_ablations_in_one_folder_are_decided_each_by_itself(tmp_path):
    sweep_of_four(tmp_path)
    for seed in (0, 1):
        finished(tmp_path, "siglip", seed, ablation="freeze", value="frozen")
    rebuild(tmp_path)
    decisions = read_stable_tasks(tmp_path)
    count = decisions[decisions["task"] == "count"].set_index("ablation")
    assert not count.loc["encoder", "stable"]
    assert count.loc["freeze", "stable"]
    assert count.loc["freeze", "reason"].startswith("above chance; one configuration")


def test_runs_of_one_point_agree_in_all_but_the_seed(tmp_path):
    for seed in (0, 1):
        finished(tmp_path, "siglip", seed, method=("lora", "full")[seed])
    rebuild(tmp_path)
    assert set(read_stable_tasks(tmp_path)["n_points"]) == {2}
    for seed in (0, 1):  # a difference that no column shows
        finished(tmp_path, "siglip", seed, config_id=f"learning rate {seed}")
    rebuild(tmp_path)
    assert set(read_stable_tasks(tmp_path)["n_points"]) == {2}
    for seed in (0, 1):
        finished(tmp_path, "siglip", seed, config_id="one")
    rebuild(tmp_path)
    assert set(read_stable_tasks(tmp_path)["n_points"]) == {1}


def test_without_a_suite_there_is_no_decision_and_a_stale_one_goes(tmp_path):
    sweep_of_four(tmp_path)
    rebuild(tmp_path)
    assert (tmp_path / "stable_tasks.csv").exists()
    sweep_of_four(tmp_path, suite=None)
    table = scores(tmp_path)
    assert table[["vision_stable_score", "vision_stable_note"]].isna().all(axis=None)
    assert not (tmp_path / "stable_tasks.csv").exists()
    assert read_stable_tasks(tmp_path).empty


def test_a_suite_survives_json_and_records_of_version_0_1_load(tmp_path):
    folder = finished(tmp_path, config_id="abc")
    assert folder.read().suite == SUITE
    path = folder.path / "result.json"
    content = json.loads(path.read_text())
    for key in ("suite", "ablation", "settings", "overrides", "files"):
        del content[key]
    del content["row"]["config_id"]
    content["row"]["status"] = "nan"
    path.write_text(json.dumps(content | {"point": "abc"}))
    record = folder.read()
    assert (record.suite, record.config_id, record.status) == (None, "abc", "diverged")
    assert len(rebuild(tmp_path)) == 1
