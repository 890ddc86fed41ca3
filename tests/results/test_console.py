"""What a person reads of stable scores."""

import pandas as pd

from ablate.results.console import outcome_line, summary_lines
from ablate.results.record import AblationRecord, RunRecord, StableRules, SuiteRecord, TaskResult
from ablate.results.run_folder import RunFolder
from ablate.results.tables import read_stable_tasks, rebuild

SUITE = SuiteRecord(
    "small",
    {"vision": ["shape", "count"], "text": ["recall"]},
    {"vision": "auto", "text": "auto"},
    StableRules(noise_multiple=2.0, negligible_noise=1.0, largest_noise_share=0.5),
)

ENCODER = AblationRecord(
    "encoder",
    "Which encoder?",
    "encoder",
    ["siglip", "patches"],
    "siglip",
    ["vision_stable_score", "text_stable_score"],
    "a test",
)


def finished(sweep, *values, value=None, seed=0, suite=SUITE, **columns) -> RunFolder:
    """A run whose tasks shape, count and recall have these values, or are not there."""
    names = (("shape", "vision"), ("count", "vision"), ("recall", "text"))
    tasks = [
        TaskResult(name, kind, "accuracy", score, None, 0.2, 400, 0.02)
        for (name, kind), score in zip(names, values, strict=False)
    ]
    folder = RunFolder(sweep, f"run-{value}-{seed}")
    row = {"run_id": folder.run_id, "seed": seed, "status": "ok", "load_seconds": 1.25, **columns}
    row |= {"config_id": str(value)}
    row |= {"ablation": "encoder", "axis": "encoder", "value": value} if value else {}
    with folder.owned(wait=True):
        folder.begin({}, RunRecord({**row, "status": "interrupted"}))
        folder.finish(RunRecord(row, tasks, suite=suite), None)
    return folder


def lines_of(sweep) -> list[str]:
    return "\n".join(
        summary_lines(rebuild(sweep), [ENCODER], read_stable_tasks(sweep))
    ).splitlines()


def test_a_run_says_its_mean_over_all_tasks_whatever_is_stable(tmp_path):
    line = outcome_line(finished(tmp_path, 0.6, 0.2, 0.4))
    assert line == (
        "run-None-0: mean centred accuracy vision 0.250 (2 tasks), text 0.250 (1 task) (1.2 s)"
    )


def test_a_run_says_how_many_tasks_are_missing(tmp_path):
    line = outcome_line(finished(tmp_path, 0.6))
    assert "vision 0.500 (1 of 2 tasks), text (0 of 1 task)" in line


def test_a_run_with_a_target_says_its_accuracy_as_ever(tmp_path):
    columns = {"accuracy": 0.75, "accuracy_before": 0.5, "control_change": -0.01}
    line = outcome_line(finished(tmp_path, suite=None, **columns))
    assert line == "run-None-0: accuracy 0.500 -> 0.750, control -0.010 (1.2 s)"
    line = outcome_line(finished(tmp_path, suite=None, accuracy=0.75))
    assert line == "run-None-0: accuracy 0.750 (1.2 s)"
    assert outcome_line(finished(tmp_path, suite=None)) == "run-None-0: ok (1.2 s)"


def test_a_sweep_ends_with_its_scores_and_what_they_are_of(tmp_path):
    for seed, (count, other) in enumerate([(0.3, 0.7), (0.7, 0.3)]):
        finished(tmp_path, 0.6, count, 0.4, value="siglip", seed=seed)
        finished(tmp_path, 0.4, other, 0.4, value="patches", seed=seed)
    lines = lines_of(tmp_path)
    header = next(line for line in lines if "vision_stable_score" in line)
    assert "text_stable_score" in header
    assert "accuracy" not in header
    assert any("siglip" in line and "0.500 ± 0.000" in line for line in lines)
    assert "stable vision tasks, decided from the runs: shape" in lines
    assert "  left out: count (seed noise 0.283 of spread 0.000, allowed 0.020)" in lines
    assert "stable text tasks, decided from the runs: recall" in lines


def test_a_sweep_says_why_scores_are_empty(tmp_path):
    finished(tmp_path, 0.6, 0.5, 0.4, value="siglip")
    finished(tmp_path, 0.6, value="patches")
    lines = lines_of(tmp_path)
    assert "no vision stable score in 1 of 2 runs: task 'count' is missing" in lines
    assert "no text stable score in 1 of 2 runs: task 'recall' is missing" in lines


def test_single_runs_are_told_what_is_stable_too(tmp_path):
    finished(tmp_path, 0.6, 0.2, 0.4)
    lines = lines_of(tmp_path)
    assert "stable vision tasks, decided from the runs: shape" in lines
    assert any(line.startswith("  left out: count (0.200 is not above chance") for line in lines)


def test_a_sweep_without_a_suite_reads_as_ever(tmp_path):
    finished(tmp_path, value="siglip", suite=None, accuracy=0.75, accuracy_before=0.5)
    lines = lines_of(tmp_path)
    assert not any("stable" in line for line in lines)
    assert list(summary_lines(pd.read_csv(tmp_path / "results.csv")))
