"""Columns for the keys in which runs differ."""

from ablate.results.record import RunRecord
from ablate.results.settings import setting_columns

BASE = {
    "train.epochs": 5,
    "train.learning_rate": 0.001,
    "method.name": "lorsu",
    "method.rank": 8,
    "method.variants": "{}",
    "fingerprint.data": "aaa",
}


def record(config_id="a", overrides=None, drop=(), **settings):
    settings = {key.replace("__", "."): value for key, value in settings.items()}
    kept = {key: value for key, value in (BASE | settings).items() if key not in drop}
    row = {"run_id": "x", "seed": 0, "status": "ok", "config_id": config_id}
    return RunRecord(row, settings=kept, overrides=overrides or {})


def test_what_was_given_has_a_column_even_if_all_runs_agree():
    given = {"train.learning_rate": 0.001, "train": "tiny-real"}
    assert setting_columns([record(overrides=given)]) == {
        "train.learning_rate": [0.001],
        "train": ["tiny-real"],
    }


def test_what_differs_has_a_column_though_nobody_gave_it():
    columns = setting_columns([record("a"), record("b", train__epochs=7)])
    assert columns == {"train.epochs": [5, 7]}


def test_a_value_that_was_given_to_some_is_filled_in_for_the_others():
    columns = setting_columns([record("a"), record("b", {"train.epochs": 5})])
    assert columns["train.epochs"] == [5, 5]


def test_below_a_group_only_runs_of_the_same_choice_are_compared():
    lora = {"method__name": "lora", "method__rank": 16}
    same_choice = setting_columns([record("a"), record("b", drop=["method.variants"], **lora)])
    assert same_choice == {}  # the column `method` tells them apart
    other_rank = setting_columns(
        [record("a"), record("b", **lora), record("c", **lora | {"method__rank": 32})]
    )
    assert other_rank == {"method.rank": [8, 16, 32]}


def test_a_control_that_some_runs_lack_is_named():
    columns = setting_columns([record("a"), record("b", controls__source__name="filled")])
    assert columns == {"controls.source": [None, "filled"]}


def test_contents_are_shown_where_nothing_else_tells_configurations_apart():
    columns = setting_columns([record("a"), record("b", fingerprint__data="bbb")])
    assert columns == {"fingerprint.data": ["aaa", "bbb"]}
    told = setting_columns([record("a"), record("b", fingerprint__data="bbb", train__epochs=7)])
    assert told == {"train.epochs": [5, 7]}
