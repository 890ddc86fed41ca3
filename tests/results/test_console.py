"""What a person reads of a run."""

from ablate.results.console import cost_line, outcome_line
from ablate.results.record import RunRecord, StableRules, SuiteRecord, TaskResult
from ablate.results.run_folder import RunFolder
from ablate.results.tables import rebuild

SUITE = SuiteRecord(
    "small",
    {"vision": ["shape", "count"], "text": ["recall"]},
    {"vision": "auto", "text": "auto"},
    StableRules(noise_multiple=2.0, negligible_noise=1.0, largest_noise_share=0.5),
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


def test_where_the_time_went(tmp_path):
    finished(tmp_path, suite=None, train_seconds=2.0, value="siglip")
    finished(tmp_path, suite=None, value="patches")
    line = cost_line(rebuild(tmp_path))
    assert line == "time: load 2.5 s, importance 0.0 s, train 2.0 s, eval 0.0 s; 2.2 s a run"
    assert cost_line(rebuild(tmp_path).iloc[:0]) is None
