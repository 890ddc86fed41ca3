"""From run folders to verdicts."""

import dataclasses
import shutil

import numpy as np
import pytest
from tests.report.sweeps import ITEMS, RANK, SUITE, N, finished, right, task

from ablate.report.compare import report_of
from ablate.report.load import load
from ablate.results.record import AblationRecord
from ablate.statistics.crossed import Stratum, components, crossed

RNG = np.random.default_rng(0)
EASE = RNG.random(N)
BEFORE = (EASE > 0.6).astype(float)


def scores(seed: int, gain: float) -> np.ndarray:
    """Items that are right where they are easy; gain and seed move the border."""
    noise = np.random.default_rng([seed, int(100 * gain) + 50]).normal(0, 0.1, N)
    return (EASE + gain + noise > 0.5).astype(float)


def rank_sweep(sweep, gains, seeds=(0, 1, 2)):
    for value, gain in gains.items():
        for seed in seeds:
            control = right(0.9 - max(gain, 0) / 4, seed + 7)
            tasks = [
                task("barred", "target", scores(seed, gain), BEFORE),
                task("filled", "control", control, np.ones(N)),
                task("digits", "control", right(0.5, seed), right(0.5, 99)),
            ]
            finished(sweep, value, seed, tasks)


def one_of(sweep, **margins):
    (report,) = report_of(load([sweep]), margins).ablations
    return report


def of(report, metric, value):
    (found,) = [one for one in report.of(metric) if one.value == value]
    return found


def test_each_value_is_tested_against_the_baseline_on_the_runs_own_items(tmp_path):
    rank_sweep(tmp_path, {16: 0.3, 8: 0.0, 64: 0.0})
    report = one_of(tmp_path)
    assert [c.value for c in report.configurations] == [8, 16, 64]
    assert report.metrics == ("accuracy", "control_change")
    found = of(report, "accuracy", 16)
    differences = np.stack([scores(s, 0.3) - scores(s, 0.0) for s in range(3)])
    expected = crossed(components([Stratum(differences, np.arange(N))]))
    assert found.difference == pytest.approx(differences.mean())
    assert (found.low, found.high) == pytest.approx(expected.interval)
    assert found.p == pytest.approx(expected.p)
    assert (found.n_seeds, found.n_items, found.n_clusters) == (3, N, N)
    assert found.verdict == "better"
    assert found.per_seed == pytest.approx(tuple(scores(s, 0.3).mean() for s in range(3)))
    # Holm over the two values: the smaller p twice.
    assert found.p_holm == pytest.approx(min(2 * expected.p, 1))
    baseline = of(report, "accuracy", 8)
    assert baseline.verdict == "baseline"
    assert baseline.difference is baseline.p is None


def test_the_same_answers_are_equivalent(tmp_path):
    rank_sweep(tmp_path, {16: 0.0, 8: 0.0})
    found = of(one_of(tmp_path), "accuracy", 16)
    assert (found.verdict, found.difference, found.p) == ("equivalent", 0.0, 1.0)
    assert "equals that of the baseline 8 in every item" in found.sentence


def test_control_change_is_a_mean_over_data_sets_whatever_their_sizes(tmp_path):
    small = ITEMS[:40]
    for value in (8, 16):
        for seed in (0, 1, 2):
            tasks = [
                task("filled", "control", right(0.8, seed + value), np.ones(N)),
                task("few", "control", right(0.4, seed * value, 40), right(0.5, 5, 40), ids=small),
            ]
            finished(tmp_path, value, seed, tasks)
    found = of(one_of(tmp_path), "control_change", 16)
    strata = [
        Stratum(
            np.stack([right(0.8, s + 16) - right(0.8, s + 8) for s in range(3)]), np.arange(N), 0.5
        ),
        Stratum(
            np.stack([right(0.4, s * 16, 40) - right(0.4, s * 8, 40) for s in range(3)]),
            np.arange(40),
            0.5,
        ),
    ]
    expected = crossed(components(strata))
    assert found.n_items == 240
    assert found.difference == pytest.approx(expected.difference)
    assert found.p == pytest.approx(expected.p)


def test_target_improvement_subtracts_each_runs_own_before(tmp_path):
    metrics = dataclasses.replace(RANK, metrics=["target_improvement"])
    for value in (8, 16):
        for seed in (0, 1, 2):
            before = right(0.3, 10 * seed + value)
            finished(
                tmp_path,
                value,
                seed,
                [task("barred", "target", scores(seed, 0), before)],
                ablation=metrics,
            )
    found = of(one_of(tmp_path), "target_improvement", 16)
    changes = np.stack([right(0.3, 10 * s + 8) - right(0.3, 10 * s + 16) for s in range(3)])
    assert found.difference == pytest.approx(changes.mean())
    assert found.p == pytest.approx(crossed(components([Stratum(changes, np.arange(N))])).p)


def test_clusters_of_items_are_the_unit(tmp_path):
    images = [f"image-{n // 4}" for n in range(N)]
    for value, gain in ((8, 0.0), (16, 0.2)):
        for seed in (0, 1, 2):
            tasks = [task("vqa", "target", scores(seed, gain), clusters=images)]
            finished(tmp_path, value, seed, tasks)
    found = of(one_of(tmp_path), "accuracy", 16)
    differences = np.stack([scores(s, 0.2) - scores(s, 0.0) for s in range(3)])
    means = differences.reshape(3, 50, 4).mean(axis=2)
    assert (found.n_items, found.n_clusters) == (N, 50)
    assert found.p == pytest.approx(crossed(components([Stratum(means, np.arange(50))])).p)


def test_one_seed_is_mcnemar_and_says_that_seed_noise_is_unknown(tmp_path):
    rank_sweep(tmp_path, {8: 0.0, 16: 0.3}, seeds=(0,))
    report = one_of(tmp_path)
    found = of(report, "accuracy", 16)
    assert found.test.startswith("McNemar")
    assert "seed noise unknown" in found.sentence
    assert "seed noise unknown" in report.answer[0]


def test_unequal_seeds_are_compared_over_those_that_both_have(tmp_path):
    rank_sweep(tmp_path, {8: 0.0, 16: 0.2}, seeds=(0, 1, 2))
    shutil.rmtree(tmp_path / "runs" / "run-16-seed1")
    found = of(one_of(tmp_path), "accuracy", 16)
    differences = np.stack([scores(s, 0.2) - scores(s, 0.0) for s in (0, 2)])
    assert found.difference == pytest.approx(differences.mean())
    assert "over the 2 seeds that both have" in found.notes
    assert any("two seeds" in note for note in found.notes)


def test_items_in_another_order_are_joined_by_id(tmp_path):
    for value, gain in ((8, 0.0), (16, 0.2)):
        for seed in (0, 1, 2):
            order = np.random.default_rng([value, seed]).permutation(N)
            ids = [ITEMS[n] for n in order]
            finished(
                tmp_path, value, seed, [task("t", "target", scores(seed, gain)[order], ids=ids)]
            )
    found = of(one_of(tmp_path), "accuracy", 16)
    differences = np.stack([scores(s, 0.2) - scores(s, 0.0) for s in range(3)])
    assert found.p == pytest.approx(crossed(components([Stratum(differences, np.arange(N))])).p)


def test_other_items_are_refused(tmp_path):
    for value in (8, 16):
        for seed in (0, 1):
            ids = [f"{value if n < 50 else 'both'}-{n}" for n in range(N)]
            finished(tmp_path, value, seed, [task("t", "target", scores(seed, 0), ids=ids)])
    found = of(one_of(tmp_path), "accuracy", 16)
    assert found.verdict == "untested"
    assert found.reason == "the items differ: 150 of 200 are the same"
    assert found.p is found.low is found.test is None


def test_items_that_do_not_add_up_to_the_column_are_refused(tmp_path):
    for value in (8, 16):
        for seed in (0, 1):
            finished(tmp_path, value, seed, [task("t", "target", scores(seed, 0))], accuracy=0.9)
    found = of(one_of(tmp_path), "accuracy", 16)
    assert found.verdict == "untested"
    assert "add up to" in found.reason


def test_a_missing_or_damaged_items_file_costs_the_test_alone(tmp_path):
    rank_sweep(tmp_path, {8: 0.0, 16: 0.2, 64: 0.2})
    (tmp_path / "runs" / "run-16-seed1" / "items.parquet").unlink()
    (tmp_path / "runs" / "run-64-seed1" / "items.parquet").write_bytes(b"PAR1 no")
    report = one_of(tmp_path)
    assert of(report, "accuracy", 16).reason == "items.parquet of run-16-seed1 is missing"
    assert of(report, "accuracy", 64).reason == "items.parquet of run-64-seed1 is damaged"
    assert of(report, "accuracy", 16).mean is not None
    assert of(report, "accuracy", 16).difference is not None


def test_a_stable_score_is_tested_over_its_tasks_and_says_how_they_were_chosen(tmp_path):
    ablation = AblationRecord(
        "encoder",
        "Which?",
        "encoder",
        ["a", "b"],
        "a",
        ["vision_stable_score", "text_stable_score"],
        "",
    )
    for value, gain in (("a", 0.0), ("b", 0.1)):
        for seed in (0, 1, 2):
            tasks = [
                task("shape", "vision", scores(seed, gain), chance=0.2),
                task("count", "vision", scores(seed + 9, gain), chance=0.5),
                task("recall", "text", scores(seed + 18, gain), chance=0.0),
            ]
            finished(tmp_path, value, seed, tasks, ablation=ablation, suite=SUITE)
    report = one_of(tmp_path)
    found = of(report, "vision_stable_score", "b")
    strata = [
        Stratum(
            np.stack([scores(s + k, 0.1) - scores(s + k, 0.0) for s in range(3)]),
            np.arange(N),
            weight,
        )
        for k, weight in ((0, 0.5 / 0.8), (9, 0.5 / 0.5))
    ]
    expected = crossed(components(strata))
    assert found.difference == pytest.approx(expected.difference)
    assert found.p == pytest.approx(expected.p)
    assert found.difference == pytest.approx(found.mean - of(report, found.metric, "a").mean)
    chosen = "rests on tasks that were chosen by the runs it compares"
    assert chosen in found.notes
    assert chosen not in of(report, "text_stable_score", "b").notes


def test_f1_is_tested_as_the_ratio_it_is(tmp_path):
    ablation = dataclasses.replace(RANK, metrics=["vision_stable_score"])
    suite = dataclasses.replace(SUITE, expected={"vision": ["pope"]}, stable={"vision": ["pope"]})

    def f1_run(value, seed):
        true = np.arange(N) % 2 == 0
        said = np.where(right(0.6 + value / 100, seed) > 0, true, ~true)
        row, items = task("pope", "vision", said == true, metric="f1", chance=0.5)
        items["answer"] = np.where(true, "yes", "no")
        items["prediction"] = np.where(said, "yes", "no")
        value_f1 = 2 * (said & true).sum() / (said.sum() + true.sum())
        finished(
            tmp_path,
            value,
            seed,
            [(dataclasses.replace(row, value=float(value_f1)), items)],
            ablation=ablation,
            suite=suite,
        )

    for seed in (0, 1, 2):
        f1_run(8, seed)
        f1_run(16, seed)
    found = of(one_of(tmp_path), "vision_stable_score", 16)
    assert found.test.startswith("crossed")
    base = of(one_of(tmp_path), "vision_stable_score", 8)
    assert found.difference == pytest.approx(found.mean - base.mean)


def test_lower_is_better_for_costs_and_counts_need_no_test(tmp_path):
    metrics = ["train_seconds", "trainable_parameters", "n_items"]
    ablation = dataclasses.replace(RANK, metrics=metrics)
    for value, seconds in (
        (8, (10.0, 10.4, 9.8)),
        (16, (20.1, 20.2, 19.8)),
        (64, (10.1, 10.2, 9.9)),
    ):
        for seed, taken in enumerate(seconds):
            columns = {"train_seconds": taken, "trainable_parameters": 100 * value}
            finished(tmp_path, value, seed, ablation=ablation, n_items=N + value, **columns)
    report = one_of(tmp_path)
    slower = of(report, "train_seconds", 16)
    assert (slower.verdict, slower.test) == ("worse", "paired t over seeds")
    assert of(report, "train_seconds", 64).verdict in ("equivalent", "undecided")
    more = of(report, "trainable_parameters", 16)
    assert (more.verdict, more.p, more.difference) == ("worse", None, 800)
    assert of(report, "n_items", 16).verdict == "different"


def test_the_users_margin_decides_what_is_equivalent(tmp_path):
    rank_sweep(tmp_path, {8: 0.0, 16: 0.02})
    narrow, wide = (of(one_of(tmp_path, accuracy=m), "accuracy", 16) for m in (0.001, 0.5))
    assert (narrow.verdict, narrow.margin) == ("undecided", 0.001)
    assert wide.margin == 0.5
    assert wide.verdict in ("equivalent", "better")
    assert "decide" in narrow.sentence


def test_a_second_axis_has_a_baseline_of_its_own_and_its_own_correction(tmp_path):
    for method in ("lorsu", "lora"):
        for value, gain in ((8, 0.0), (16, 0.3)):
            for seed in (0, 1, 2):
                tasks = [task("t", "target", scores(seed, gain))]
                config = f"{method}-{value}"
                finished(tmp_path, value, seed, tasks, config=config, method=method)
    report = one_of(tmp_path)
    assert report.settings == ("method",)
    order = [(c.settings["method"], c.value) for c in report.configurations]
    assert order in (
        [("lorsu", 8), ("lorsu", 16), ("lora", 8), ("lora", 16)],
        [("lora", 8), ("lora", 16), ("lorsu", 8), ("lorsu", 16)],
    )
    compared = [one for one in report.of("accuracy") if not one.is_baseline]
    assert all(one.p_holm == one.p for one in compared)


def test_without_one_clear_baseline_nothing_is_tested(tmp_path):
    for config in ("a", "b"):
        finished(tmp_path, 8, 0, [task("t", "target", scores(0, 0))], config=config)
    finished(tmp_path, 16, 0, [task("t", "target", scores(0, 0.1))], config="c")
    report = one_of(tmp_path)
    assert not any(one.is_baseline for one in report.comparisons)
    assert all(one.verdict == "untested" for one in report.comparisons)
    assert "2 configurations have the baseline's value 8" in report.answer[0]


def test_runs_without_an_ablation_are_told_apart_by_what_differs(tmp_path):
    for config, rate in (("a", 0.001), ("b", 0.003)):
        for seed in (0, 1):
            tasks = [task("t", "target", scores(seed, rate))]
            overrides = {"train.learning_rate": rate}
            finished(tmp_path, None, seed, tasks, None, config=config, overrides=overrides)
    report = one_of(tmp_path)
    assert report.name is report.key is None
    assert [c.settings for c in report.configurations] == [
        {"train.learning_rate": 0.001},
        {"train.learning_rate": 0.003},
    ]
    assert all(len(c.run_ids) == 2 for c in report.configurations)
    assert not report.answer


def test_true_and_one_are_different_values(tmp_path):
    flags = AblationRecord("flag", "?", "train.x", [True, False], True, ["accuracy"], "a test")
    for value in (True, False):
        finished(tmp_path, value, 0, [task("t", "target", scores(0, 0))], flags)
    assert [c.is_baseline for c in one_of(tmp_path).configurations] == [True, False]


def test_models_of_one_name_are_told_apart_by_their_source(tmp_path):
    for place in ("a", "b"):
        columns = {"model": "tiny", "model_source": f"/{place}"}
        finished(
            tmp_path, None, 0, [task("t", "target", scores(0, 0))], None, config=place, **columns
        )
    settings = [c.settings for c in one_of(tmp_path).configurations]
    assert settings == [{"model_source": "/a"}, {"model_source": "/b"}]
