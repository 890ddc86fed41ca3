"""Scales, names, the Pareto front, grids and differences by task, each by hand."""

import numpy as np
import pytest
from tests.report.sweeps import RANK, finished, right, task

from ablate.report.compare import report_of
from ablate.report.figures.heat import grid_of
from ablate.report.figures.scale import scale_of
from ablate.report.figures.series import by_settings, names_of, series_of
from ablate.report.figures.style import short
from ablate.report.figures.task_differences import task_differences
from ablate.report.figures.tradeoff import marks_of, on_front, tradeoffs
from ablate.report.figures.words import amount, digits_of_step, show, signed
from ablate.report.load import load
from ablate.statistics.crossed import Stratum, components, crossed


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([8, 16, 64], "log2"),
        ([1, 2, 4], "log2"),
        ([0.5, 1.0, 2.0], "log2"),
        ([8, 64], "linear"),
        ([0, 1, 2], "linear"),
        ([5, 20, 50], "linear"),
        ([0.01, 0.1, 0.5], "log10"),
        ([-1.0, 100.0], "linear"),
        (["8", "16", "32"], "category"),
        ([True, False], "category"),
        ([8, "all", 16], "category"),
        ([None, 1], "category"),
        ([1.0, float("inf")], "category"),
    ],
)
def test_the_scale_fits_the_values(values, kind):
    scale = scale_of(values)
    assert scale.kind == kind
    places = [scale.place(value) for value in values]
    assert len(set(places)) == len(values)
    assert np.isfinite(places).all()


def test_powers_of_two_are_evenly_spaced():
    scale = scale_of([8, 16, 32, 64])
    assert np.diff([scale.place(value) for value in scale.values]) == pytest.approx([1, 1, 1])


def test_an_axis_names_no_more_values_than_it_has_room_for():
    named = scale_of(list(range(1, 16))).named()
    assert named[0] == 1
    assert len(named) <= 10


@pytest.mark.parametrize(
    ("metric", "value", "words"),
    [
        ("accuracy", 0.7346, "0.735"),
        ("control_change", -0.0204, "\N{MINUS SIGN}0.020"),
        ("control_change", -0.0001, "0.000"),
        ("target_improvement", 0.3, "+0.300"),
        ("trainable_parameters", 84324, "84.3k"),
        ("peak_memory_bytes", 834138112, "0.83 GB"),
        ("train_seconds", 13.8, "14 s"),
    ],
)
def test_numbers_have_their_unit(metric, value, words):
    assert show(metric, value) == words


def test_amounts_and_ticks():
    assert [amount(n) for n in (850, 999_950, 1.2e6, 7e9)] == ["850", "1000k", "1.2M", "7B"]
    assert [digits_of_step(step) for step in (0.2, 0.05, 0.01, 0.002, 5)] == [2, 2, 2, 3, 2]
    assert signed(0.05, 2) == "+0.05"


@pytest.mark.parametrize("values", [[8, 16, 64], [0.0003, 0.001, 0.03], [5, 20, 50]])
def test_a_number_is_where_its_place_is_and_lines_stand_beside_it(values):
    scale = scale_of(values)
    assert [scale.number_at(scale.place(value)) for value in values] == pytest.approx(values)
    beside = [scale.aside(number, 3) for number in range(3)]
    assert beside[1] == 0
    assert -scale.step() / 2 < beside[0] == -beside[2] < 0


@pytest.mark.parametrize(
    ("metric", "values", "words"),
    [
        ("peak_memory_bytes", (1.0e8, 1.005e8), ["0.1000 GB", "0.1005 GB"]),
        ("peak_memory_bytes", (2e9, 4e9), ["2.00 GB", "4.00 GB"]),
        ("train_seconds", (100.0, 100.2), ["100.0 s", "100.2 s"]),
        ("trainable_parameters", (128_000, 128_200), ["128.0k", "128.2k"]),
        ("trainable_parameters", (0, 50_000), ["0", "50k"]),
    ],
)
def test_ticks_that_differ_read_differently(metric, values, words):
    step = values[1] - values[0]
    assert [show(metric, value, digits_of_step(step), step) for value in values] == words


def test_a_long_name_keeps_both_ends():
    assert short("a" * 20 + "b" * 20, 9) == "aaaaa…bbb"
    assert short("x\u202ey") == "x\\u202ey"


def test_the_front_is_what_no_other_beats():
    points = np.array([[0, 3], [1, 2], [1, 1], [2, 0], [2, 0], [0, 0]], dtype=float)
    assert on_front(points).tolist() == [True, True, False, True, True, False]
    assert on_front(np.zeros((0, 2))).tolist() == []


def ranks(sweep, values=(8, 16), seeds=(0, 1, 2)):
    for value in values:
        for seed in seeds:
            tasks = [
                task("barred", "target", right(0.4 + value / 100, seed), right(0.3, 9)),
                task("filled", "control", right(0.9, seed + value), right(1.0, 9)),
            ]
            cost = {"trainable_parameters": value * 100, "train_seconds": 3.0 + seed}
            finished(sweep, value, seed, tasks, **cost)
    return report_of(load([sweep]))


def test_a_cheaper_configuration_with_the_same_gain_is_on_the_front_alone(tmp_path):
    for value, parameters, gain in ((8, 10, 0.2), (16, 20, 0.2), (64, 30, 0.3)):
        finished(tmp_path, value, 0, trainable_parameters=parameters, target_improvement=gain)
    report = report_of(load([tmp_path]))
    results = report.loaded.finished.set_index("run_id")
    (what,) = tradeoffs(results)
    marks = marks_of(report.ablations[0], results, what)
    assert {mark.name: mark.on_front for mark in marks} == {"8": True, "16": False, "64": True}


def test_a_stage_that_never_ran_costs_nothing_and_a_missing_one_is_missing(tmp_path):
    finished(tmp_path, 8, 0, target_improvement=0.1, train_seconds=2.0)
    finished(tmp_path, 16, 0, target_improvement=0.2, train_seconds=3.0, importance_seconds=1.0)
    finished(tmp_path, 64, 0, target_improvement=0.3)
    report = report_of(load([tmp_path]))
    results = report.loaded.finished.set_index("run_id")
    (what,) = [one for one in tradeoffs(results) if one.x == "adaptation_seconds"]
    marks = marks_of(report.ablations[0], results, what)
    assert {mark.name: mark.x for mark in marks} == {"8": 2.0, "16": 4.0}


def test_the_interval_crosses_the_baseline_exactly_where_it_holds_zero(tmp_path):
    (ablation,) = ranks(tmp_path).ablations
    (series,) = series_of(ablation, "accuracy")
    other = next(one for one in series.comparisons if not one.is_baseline)
    low, high = series.interval(other)
    assert low - series.baseline.mean == pytest.approx(other.low)
    assert high - series.baseline.mean == pytest.approx(other.high)
    assert series.interval(series.baseline) is None


def test_differences_by_task_are_those_of_the_crossed_test(tmp_path):
    report = ranks(tmp_path)
    found, n_left_out = task_differences(report.ablations[0], report.loaded)
    assert [(one.name, one.task, one.kind) for one in found] == [
        ("16", "barred", "target"),
        ("16", "filled", "control"),
    ]
    assert n_left_out == 0
    differences = np.stack([right(0.56, seed) - right(0.48, seed) for seed in (0, 1, 2)])
    expected = crossed(components([Stratum(differences, np.arange(200))]))
    assert found[0].difference == pytest.approx(expected.difference)
    assert (found[0].low, found[0].high) == pytest.approx(expected.interval)
    assert found[0].by_seed == pytest.approx(differences.mean(axis=1))


def test_without_a_baseline_tasks_are_compared_with_the_base_model(tmp_path):
    tasks = [task("barred", "target", right(0.6, 1), right(0.3, 2))]
    finished(tmp_path, None, 0, tasks, ablation=None, config="a", method="lora")
    finished(tmp_path, None, 0, tasks, ablation=None, config="b", method="lorsu")
    report = report_of(load([tmp_path]))
    found, _ = task_differences(report.ablations[0], report.loaded)
    assert {one.name for one in found} == {"lora", "lorsu"}
    assert found[0].difference == pytest.approx((right(0.6, 1) - right(0.3, 2)).mean())


def test_runs_without_items_have_no_differences(tmp_path):
    report = ranks(tmp_path)
    for place in report.loaded.places.values():
        (place / "items.parquet").write_bytes(b"damaged")
    assert task_differences(report.ablations[0], report.loaded) == ([], 0)


def grid_sweep(sweep, cells):
    for number, (method, rank, alpha) in enumerate(cells):
        finished(
            sweep,
            None,
            0,
            ablation=None,
            config=f"c{number}",
            method=method,
            rank=rank,
            accuracy=number / 10,
            overrides={"method.alpha": alpha},
        )
    return report_of(load([sweep])).ablations[0]


def test_a_key_that_follows_another_is_no_axis(tmp_path):
    ablation = grid_sweep(
        tmp_path, [("lora", 8, 8), ("lora", 16, 16), ("lorsu", 8, 8), ("lorsu", 16, 16)]
    )
    grid = grid_of(ablation)
    assert (grid.rows, grid.columns) == ("method", "rank")
    assert (grid.row_levels, grid.column_levels) == (("lora", "lorsu"), ("8", "16"))
    assert sorted(names_of(ablation).values()) == [
        "lora, rank 16",
        "lora, rank 8",
        "lorsu, rank 16",
        "lorsu, rank 8",
    ]


def test_values_stand_in_the_ablations_own_order_in_every_setting(tmp_path):
    """The table begins with the baseline, 8; an axis has it where the ablation has it, between 16 and 64."""
    for method in ("lorsu", "lora"):
        for value in (64, 8, 16):
            columns = {"method": method, "accuracy": value / 100}
            finished(tmp_path, value, config=f"{method}-{value}", **columns)
    ablation = report_of(load([tmp_path])).ablations[0]
    assert ablation.values == (16, 8, 64)
    assert [one.value for one in ablation.configurations] == [8, 16, 64] * 2
    series = series_of(ablation, "accuracy")
    assert [[one.value for one in part.comparisons] for part in series] == [[16, 8, 64]] * 2
    assert scale_of((1, True)).place(True) == 1.0


def test_one_setting_however_its_number_is_written(tmp_path):
    """Beside a text, 1 and 1.0 stay what they are in a column: one setting with one baseline, not two."""
    for value, alpha in ((8, 1), (16, 1.0), (8, "auto")):
        overrides = {"method.alpha": alpha}
        finished(tmp_path, value, config=f"{alpha}", accuracy=value / 100, overrides=overrides)
    ablation = report_of(load([tmp_path])).ablations[0]
    assert [one.value for one in ablation.configurations] == [8, 16, 8]
    assert len(series_of(ablation, "accuracy")) == len(by_settings(ablation)) == 2


def test_one_axis_is_no_grid(tmp_path):
    assert grid_of(grid_sweep(tmp_path, [("lora", 8, 8), ("lora", 16, 16)])) is None
    assert grid_of(ranks(tmp_path / "ranks").ablations[0]) is None


def test_a_number_and_the_same_text_have_two_names(tmp_path):
    finished(tmp_path, 8, 0, ablation=RANK, config="number", accuracy=0.1)
    finished(tmp_path, "8", 0, ablation=RANK, config="text", accuracy=0.2)
    names = names_of(report_of(load([tmp_path])).ablations[0])
    assert sorted(names.values()) == ["8", "8 (2)"]
