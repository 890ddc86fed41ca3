"""The importance pass is made once, and its cache is never trusted blindly."""

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

SWEEP = ["method.rank=2,4", "method.top_k_heads=1,2"]


@pytest.fixture(autouse=True)
def fresh_process(monkeypatch):
    """Hold nothing in memory that an earlier test computed."""
    monkeypatch.setattr("ablate.training.importance._held", {})


def cached(outputs):
    return sorted((outputs / ".cache").glob("importance-*.safetensors"))


def accuracies(outputs, name):
    return list(pd.read_csv(outputs / name / "results.csv")["accuracy"])


def test_one_pass_serves_all_ranks_and_head_counts_and_no_other_loss_or_seed(ablate_run):
    _, outputs = ablate_run(*SWEEP)
    (first,) = cached(outputs)
    written = first.stat().st_mtime_ns
    ablate_run(*SWEEP, "name=again")
    assert first.stat().st_mtime_ns == written
    assert accuracies(outputs, "again") == accuracies(outputs, "run")
    ablate_run("loss=clip")
    ablate_run("seed=1")
    assert len(cached(outputs)) == 3


@pytest.mark.parametrize("fault", ["truncated", "changed", "foreign"])
def test_a_bad_entry_is_noticed_and_made_again(ablate_run, fault, monkeypatch):
    _, outputs = ablate_run(*SWEEP)
    (entry,) = cached(outputs)
    good = entry.read_bytes()
    # Copies: what load_file returns may still be mapped to the file.
    tensors = {name: tensor.clone() for name, tensor in load_file(entry).items()}
    if fault == "truncated":
        entry.write_bytes(good[: len(good) // 2])
    elif fault == "changed":
        entry.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    else:
        save_file(tensors, entry, {"key": "another"})
    monkeypatch.setattr("ablate.training.importance._held", {})
    ablate_run(*SWEEP, "name=again")
    rebuilt = load_file(entry)
    assert all(torch.equal(rebuilt[name], tensors[name]) for name in tensors)
    assert accuracies(outputs, "again") == accuracies(outputs, "run")
