"""The shipped ablations find what was pinned before the runner was rebuilt, at small size."""

import copy
import json
import sys
from importlib import import_module
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "scripts"))
pin_numbers = import_module("pin_numbers")

PINS = Path(__file__).with_name("pins.json")


@pytest.fixture(scope="module")
def pins():
    return json.loads(PINS.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["rank", "sessions", "method", "encoder"])
def test_an_ablation_finds_what_was_pinned(name, pins):
    now = pin_numbers.pin(small=True, only=[name])
    assert pin_numbers.differences({name: pins[name]}, now, exact=False) == []


def test_what_differs_is_said(pins):
    run_id = next(iter(pins["rank"]))

    def said(change, exact=False):
        now = copy.deepcopy(pins)
        change(now["rank"][run_id])
        return pin_numbers.differences(pins, now, exact)

    assert pin_numbers.differences(pins, pins, exact=True) == []
    assert "n_items was" in said(lambda run: run["row"].update(n_items=1))[0]
    assert "accuracy was" in said(lambda run: run["row"].update(accuracy=0.9))[0]
    assert "the items differ" in said(lambda run: run["items"].pop())[0]
    assert said(lambda run: run.update(digest="0")) == []
    assert "digest" in said(lambda run: run.update(digest="0"), exact=True)[0]
    lost = {name: runs for name, runs in pins.items() if name != "heads"}
    assert "heads: runs" in pin_numbers.differences(pins, lost, exact=False)[0]
