"""A run that does not fit into memory as configured: the same numbers in smaller passes, or a row that says why not."""

import pandas as pd
import pytest
import torch
from tests.conftest import read_results

from ablate.models.vlm import VisionLanguageModel

SAID = "CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 23.7 GiB"


@pytest.fixture(autouse=True)
def fresh_process(monkeypatch):
    """Hold nothing in memory that an earlier test has computed."""
    monkeypatch.setattr("ablate.evaluation.cache._held", {})
    monkeypatch.setattr("ablate.training.importance._held", {})


def limit(monkeypatch, in_training, in_evaluation):
    """Let a pass of the image encoder take so many images."""
    real = VisionLanguageModel.normalise

    def normalise(self, pixels):
        if len(pixels) > (in_training if torch.is_grad_enabled() else in_evaluation):
            raise torch.OutOfMemoryError(SAID)
        return real(self, pixels)

    monkeypatch.setattr(VisionLanguageModel, "normalise", normalise)


def items(sweep):
    (folder,) = (sweep / "runs").iterdir()
    return pd.read_parquet(folder / "items.parquet"), (folder / "log.txt").read_text()


@pytest.mark.parametrize("loss", ["lm", "clip"])
def test_smaller_passes_come_to_the_same_answers_and_the_row_says_so(ablate_run, monkeypatch, loss):
    words = [f"loss={loss}", "train.batch_size=8", "eval.batch_size=32"]
    _, outputs = ablate_run(*words, "name=roomy")
    with monkeypatch.context() as patched:
        limit(patched, in_training=3, in_evaluation=20)
        code, _ = ablate_run(*words, "name=tight", f"output_dir={outputs / 'tight'}")
    assert code == 0
    roomy, tight = (
        read_results(folder).iloc[0] for folder in (outputs / "roomy", outputs / "tight" / "tight")
    )
    assert (roomy["micro_batch"], roomy["eval_batch"]) == (8, 32)
    assert (tight["micro_batch"], tight["eval_batch"]) == (2, 16)
    assert tight["accuracy_before"] == roomy["accuracy_before"]
    # What Adam makes of the same gradient, rounded otherwise, is tested in float64.
    (one, _), (other, log) = items(outputs / "roomy"), items(outputs / "tight" / "tight")
    assert one["prediction_before"].equals(other["prediction_before"])
    assert "out of memory with 8 examples in a pass: 4 now" in log
    assert "out of memory with 32 items in a pass: 16 now" in log


def test_one_example_that_does_not_fit_is_a_row_that_says_what_helps(ablate_run, monkeypatch):
    limit(monkeypatch, in_training=0, in_evaluation=99)
    code, outputs = ablate_run("method=lora")
    assert code == 1
    row = read_results(outputs / "run").iloc[0]
    assert row["status"] == "oom"
    assert row["error"].startswith("DoesNotFitError: stage 'train' does not fit into the memory of")
    assert "0.02 GiB were asked for" in row["error"]
    assert "Fix: train.gradient_checkpointing=true" in row["error"]
    assert pd.isna(row["accuracy"])


def test_one_item_that_does_not_fit_is_a_row_too(ablate_run, monkeypatch):
    limit(monkeypatch, in_training=99, in_evaluation=0)
    code, outputs = ablate_run("method=lora", "data.test_items=5")
    assert code == 1
    row = read_results(outputs / "run").iloc[0]
    assert row["status"] == "oom"
    assert "one item of task 'digits' does not fit" in row["error"]


def test_the_next_run_finds_what_was_evaluated_in_smaller_passes(ablate_run, monkeypatch):
    limit(monkeypatch, in_training=99, in_evaluation=20)
    words = ["eval.batch_size=32", "method=frozen"]
    assert ablate_run(*words)[0] == 0
    monkeypatch.setattr("ablate.evaluation.cache._held", {})
    answered = []
    real = VisionLanguageModel.encode_images

    def encode_images(self, pixels):
        answered.append(len(pixels))
        return real(self, pixels)

    monkeypatch.setattr(VisionLanguageModel, "encode_images", encode_images)
    code, outputs = ablate_run(*words, "seed=1")
    assert code == 0
    assert answered == []
    assert read_results(outputs / "run")["eval_batch"].tolist() == [16, 16]
