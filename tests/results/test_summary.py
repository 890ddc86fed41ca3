"""One row per configuration, never a mean over different ones."""

import pandas as pd
import pytest

from ablate.results.columns import COLUMNS
from ablate.results.record import AblationRecord
from ablate.results.summary import summarise

RANK = AblationRecord(
    "rank", "?", "method.rank", [16, 8, 64], 8, ["accuracy", "control_change"], "a test"
)


def rows(*given: dict) -> pd.DataFrame:
    base = {"status": "ok", "method": "lorsu", "data": "shapes", "seed": 0}
    table = pd.DataFrame([base | row for row in given])
    extra = [column for column in table.columns if column not in COLUMNS]
    return table.reindex(columns=[*COLUMNS, *extra])


def run(value, seed, accuracy, config=None, **columns):
    config = f"{value}" if config is None else config
    return {
        "run_id": f"{config}-{seed}",
        "value": value,
        "seed": seed,
        "accuracy": accuracy,
        "config_id": config,
    } | columns


def test_two_learning_rates_of_one_seed_are_two_lines():
    found = summarise(
        rows(
            run(None, 0, 0.40, "a", **{"train.learning_rate": 0.001}),
            run(None, 0, 0.50, "b", **{"train.learning_rate": 0.003}),
        ),
        None,
    )
    assert [s.settings for s in found] == [
        {"train.learning_rate": 0.001},
        {"train.learning_rate": 0.003},
    ]
    assert [s.metrics["accuracy"].mean for s in found] == [0.40, 0.50]
    assert [s.n_runs for s in found] == [1, 1]


def test_two_models_of_one_name_are_told_apart_by_their_source():
    table = rows(
        *(
            run(None, seed, 0.5, place, model="tiny", model_source=place)
            for place in ("/a", "/b")
            for seed in (0, 1)
        )
    )
    found = summarise(table, None)
    assert [s.settings for s in found] == [{"model_source": "/a"}, {"model_source": "/b"}]
    assert [s.n_runs for s in found] == [2, 2]


def test_values_come_in_the_ablations_order_with_paired_differences():
    table = rows(
        *(
            run(value, seed, accuracy)
            for value, accuracies in ((8, (0.5, 0.7)), (16, (0.6, 0.8)), (64, (0.9,)))
            for seed, accuracy in enumerate(accuracies)
        )
    )
    found = summarise(table, RANK)
    assert [s.value for s in found] == [16, 8, 64]
    assert [s.is_baseline for s in found] == [False, True, False]
    # The seeds differ by 0.2, the values by 0.1 in each seed: pairing leaves no spread.
    assert found[0].differences["accuracy"].mean == pytest.approx(0.1)
    assert found[0].differences["accuracy"].sd == pytest.approx(0.0)
    # Seed 0 alone is there for 64.
    assert found[2].differences["accuracy"].mean == pytest.approx(0.4)
    assert found[2].differences["accuracy"].n == 1
    assert "control_change" not in found[0].metrics
    assert found[1].differences == {}


def test_a_second_axis_has_a_baseline_of_its_own():
    table = rows(
        *(
            run(value, 0, accuracy, f"{value}-{method}", method=method)
            for value, method, accuracy in (
                (8, "lorsu", 0.5),
                (16, "lorsu", 0.6),
                (8, "lora", 0.1),
                (16, "lora", 0.4),
            )
        )
    )
    found = {(s.value, s.settings["method"]): s for s in summarise(table, RANK)}
    assert found[16, "lorsu"].differences["accuracy"].mean == pytest.approx(0.1)
    assert found[16, "lora"].differences["accuracy"].mean == pytest.approx(0.3)


def test_without_one_clear_baseline_there_is_no_difference():
    # The same value twice, in configurations that no column tells apart.
    table = rows(run(8, 0, 0.5, "a"), run(8, 0, 0.7, "b"), run(16, 0, 0.6, "c"))
    assert all(not s.differences for s in summarise(table, RANK))


def test_true_and_one_are_different_values():
    flags = AblationRecord("flag", "?", "train.x", [True, False], True, ["accuracy"], "a test")
    found = summarise(rows(run(True, 0, 0.5), run(False, 0, 0.4)), flags)
    assert [s.is_baseline for s in found] == [True, False]
