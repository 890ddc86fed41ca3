"""What a sweep's tables say of stable scores: which tasks are in them, and why a score is empty."""

import numpy as np
from tests.report.sweeps import SUITE, N, finished, task

from ablate.report.compare import report_of
from ablate.report.load import load
from ablate.results.record import AblationRecord

ENCODER = AblationRecord(
    "encoder",
    "Which encoder?",
    "encoder",
    ["siglip", "patches"],
    "siglip",
    ["vision_stable_score", "text_stable_score"],
    "a test",
)


def share(value: float) -> np.ndarray:
    return (np.arange(N) < value * N).astype(float)


def run(sweep, *values, value="siglip", seed=0, ablation=ENCODER, suite=SUITE):
    """Tasks shape, count and recall have these values, or are not there."""
    names = (("shape", "vision"), ("count", "vision"), ("recall", "text"))
    tasks = [
        task(name, kind, share(score)) for (name, kind), score in zip(names, values, strict=False)
    ]
    finished(sweep, value, seed, tasks, ablation=ablation, suite=suite)


def notes_of(sweep) -> tuple[str, ...]:
    (report,) = report_of(load([sweep])).ablations
    return report.notes


def test_which_tasks_are_stable_and_why_others_are_not(tmp_path):
    for seed, (count, other) in enumerate([(0.3, 0.7), (0.7, 0.3)]):
        run(tmp_path, 0.6, count, 0.4, seed=seed)
        run(tmp_path, 0.4, other, 0.4, value="patches", seed=seed)
    notes = notes_of(tmp_path)
    assert "stable vision tasks, decided from the runs: shape" in notes
    assert "  left out: count (seed noise 0.283 of spread 0.000, allowed 0.020)" in notes
    assert "stable text tasks, listed in the configuration: recall" in notes


def test_why_scores_are_empty(tmp_path):
    run(tmp_path, 0.6, 0.5, 0.4)
    run(tmp_path, 0.6, value="patches")
    notes = notes_of(tmp_path)
    assert "no vision stable score in 1 of 2 runs: task 'count' is missing" in notes
    assert "no text stable score in 1 of 2 runs: task 'recall' is missing" in notes


def test_single_runs_are_told_what_is_stable_too(tmp_path):
    run(tmp_path, 0.6, 0.2, 0.4, value=None, ablation=None)
    notes = notes_of(tmp_path)
    assert "stable vision tasks, decided from the runs: shape" in notes
    assert any(line.startswith("  left out: count (0.200 is not above chance") for line in notes)


def test_without_a_suite_there_is_nothing_to_say(tmp_path):
    run(tmp_path, suite=None)
    assert notes_of(tmp_path) == ()
