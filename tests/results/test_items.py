"""Rows of items.parquet: one type for every column, whatever the tasks score."""

import pandas as pd
import pyarrow.parquet as pq
import pytest

from ablate.results.items import SCHEMA, ItemResult, items_table, write_items

CHOICE = ItemResult("q1", "image1", "red", "blue", 0.0, None, (-0.1, -2.0))
OPEN = ItemResult("q2", "image1", "a cat", "cat", 0.9, "A cat.")


def test_true_or_false_and_fractions_stand_in_one_file(tmp_path):
    tables = [
        items_table("yes-no", "vision", "accuracy", [ItemResult("a", "a", "yes", "yes", True)]),
        items_table("open", "vision", "vqa_accuracy", [OPEN]),
        items_table("choice", "target", "accuracy", [CHOICE], [CHOICE]),
    ]
    write_items(pd.concat(tables, ignore_index=True), tmp_path / "items.parquet")
    found = pq.read_table(tmp_path / "items.parquet")
    assert found.schema.remove_metadata() == SCHEMA
    assert found["score"].to_pylist() == [1.0, 0.9, 0.0]
    assert found["score_before"].to_pylist() == [None, None, 0.0]
    assert found["text"].to_pylist() == [None, "A cat.", None]
    assert found["option_logprobs"].to_pylist() == [None, None, [-0.1, -2.0]]
    assert found["cluster_id"].to_pylist() == ["a", "image1", "image1"]


def test_before_and_after_are_joined_by_the_items_id():
    items = [ItemResult(str(n), str(n), "x", "x", 1.0) for n in range(3)]
    before = [ItemResult(str(n), str(n), "x", f"was {n}", n / 10) for n in (2, 0, 1)]
    table = items_table("t", "target", "accuracy", items, before)
    assert table["prediction_before"].tolist() == ["was 0", "was 1", "was 2"]
    assert table["score_before"].tolist() == [0.0, 0.1, 0.2]
    with pytest.raises(ValueError, match="not evaluated on"):
        items_table("t", "target", "accuracy", items, before[:2])
