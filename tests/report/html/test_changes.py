"""Which items changed, by hand."""

import numpy as np
import pytest
from tests.report.sweeps import RANK, finished, task

from ablate.report.compare import report_of
from ablate.report.html.changes import changes_of
from ablate.report.load import load

IDS = ("a", "b", "c", "d")
# Right or wrong, by value and seed: `a` is lost by 16 in both seeds, `b` is won in one.
SCORES = {8: ([1, 0, 1, 0], [1, 0, 0, 0]), 16: ([0, 1, 1, 0], [0, 0, 0, 0])}


def answered(scores, before=(0, 0, 1, 0), ids=IDS):
    about, items = task("letters", "target", scores, before, ids=ids)
    items["answer"] = ["x", "x", "y", "y"]
    items["prediction"] = [a if s else "z" for a, s in zip(items["answer"], scores, strict=True)]
    items["prediction_before"] = None
    return about, items


def sweep_of(sweep, ablation=RANK):
    for value, seeds in SCORES.items():
        for seed, scores in enumerate(seeds):
            control = task("control", "control", np.ones(4), np.ones(4), ids=IDS)
            finished(sweep, value, seed, [answered(scores), control], ablation)
    return report_of(load([sweep]))


def changes(report):
    return changes_of(report.ablations[0], report.loaded, "the baseline")


def test_answers_are_compared_item_by_item_over_the_seeds(tmp_path):
    found = changes(sweep_of(tmp_path))
    (turnover,) = found.turnover
    assert (turnover.name, turnover.became_right, turnover.became_wrong, turnover.n) == (
        "16",
        1,
        2,
        8,
    )
    assert found.tasks == ("letters",)
    assert [(one.item_id, one.change, one.n_runs) for one in found.items] == [
        ("a", -1.0, 2),
        ("b", 0.5, 2),
    ]
    lost = found.items[0]
    assert (lost.base_score, lost.score, lost.answer) == (1.0, 0.0, "x")
    assert (lost.base_answers, lost.answers) == ((("x", 1.0),), (("z", 1.0),))


def test_confusions_count_every_seed(tmp_path):
    base, other = changes(sweep_of(tmp_path)).confusions
    assert (base.name, other.name) == ("the baseline", "16")
    assert base.counts == {("x", "x"): 2, ("x", "z"): 2, ("y", "y"): 1, ("y", "z"): 3}
    assert other.counts == {("x", "x"): 1, ("x", "z"): 3, ("y", "y"): 1, ("y", "z"): 3}


def test_items_in_another_order_are_the_same_items(tmp_path):
    expected = changes(sweep_of(tmp_path / "one"))
    report = sweep_of(tmp_path / "two")
    about, items = answered(SCORES[16][1])
    finished(tmp_path / "two", 16, 1, [(about, items.iloc[::-1].reset_index(drop=True))])
    found = changes(report)
    assert [(i.item_id, i.change) for i in found.items] == [
        (i.item_id, i.change) for i in expected.items
    ]


def test_without_a_baseline_the_base_model_is_compared_with(tmp_path):
    for value, seeds in SCORES.items():
        finished(
            tmp_path, None, 0, [answered(seeds[0])], ablation=None, config=str(value), rank=value
        )
    found = changes(report_of(load([tmp_path])))
    assert {one.name: (one.became_right, one.became_wrong) for one in found.turnover} == {
        "rank 8": (1, 0),
        "rank 16": (1, 0),
    }
    assert found.confusions[0].counts["x", "(none)"] == 2


def test_an_item_stands_for_all_settings_once(tmp_path):
    for method in ("lora", "lorsu"):
        for value, seeds in SCORES.items():
            columns = {"config": f"{method}{value}", "method": method}
            finished(tmp_path, value, 0, [answered(seeds[0])], **columns)
    found = changes(report_of(load([tmp_path])))
    assert [one.name for one in found.turnover] == ["16, lora", "16, lorsu"]
    assert {one.item_id: (one.change, one.n_runs) for one in found.items} == {
        "a": (-1.0, 2),
        "b": (1.0, 2),
    }
    assert [one.name for one in found.confusions] == [
        "the baseline of 16, lora",
        "16, lora",
        "the baseline of 16, lorsu",
        "16, lorsu",
    ]


def test_damaged_items_are_left_out(tmp_path):
    report = sweep_of(tmp_path)
    for run_id, place in report.loaded.places.items():
        if run_id.endswith("seed1"):
            (place / "items.parquet").write_bytes(b"PAR1 damaged PAR1")
    (turnover,) = changes(report).turnover
    assert turnover.n == 4
    for place in report.loaded.places.values():
        (place / "items.parquet").unlink(missing_ok=True)
    assert changes(report).turnover == []


def test_an_item_that_a_run_lacks_is_not_counted(tmp_path):
    report = sweep_of(tmp_path)
    about, items = answered(SCORES[16][1])
    finished(tmp_path, 16, 1, [(about, items.iloc[1:].reset_index(drop=True))])
    found = changes(report)
    assert found.turnover[0].n == 7
    assert next(one for one in found.items if one.item_id == "a").n_runs == 1


def test_scores_between_right_and_wrong_count_as_changes(tmp_path):
    finished(tmp_path, 8, 0, [answered([0.25, 0, 1, 0])])
    finished(tmp_path, 16, 0, [answered([0.75, 0, 1, 0])])
    (item,) = changes(report_of(load([tmp_path]))).items
    assert item.change == pytest.approx(0.5)
