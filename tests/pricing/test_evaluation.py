"""A task that is answered without a number in it takes what answering it in earnest takes."""

from dataclasses import replace
from functools import cache

import pytest
from tests.methods.sessions import run_config
from tests.pricing.measured import most_bytes, operations
from tests.pricing.stages import CPU, FP32
from transformers import GenerationConfig

from ablate.evaluation.progress import Progress
from ablate.evaluation.task import Task
from ablate.models.compute import Compute
from ablate.models.loading import load_model
from ablate.models.skeleton import vlm_skeleton
from ablate.pricing.evaluation import price_task
from ablate.runner.prepare import prepare

FEW = ("data.test_items=70", "eval.batch_size=32")


@cache
def prepared(*words):
    return prepare(run_config(*words), [])


def assert_alike(run, task, compute, config=None):
    config = config or run.config.eval
    skeleton = vlm_skeleton(run.config.model, None, compute.frozen_dtype)
    found = price_task(task, skeleton, config, compute)
    vlm = load_model(run.config.model, compute)

    def answer():
        with compute.autocast():
            task.evaluate(vlm, config, Progress())

    # The first time images are decoded and kept, and threads allocate.
    assert found.flops == pytest.approx(operations(answer), rel=0.02)
    assert found.peak_bytes == pytest.approx(most_bytes(vlm, answer), rel=0.2)
    return found


@pytest.mark.parametrize(("scoring", "precision"), [("answers", "fp32"), ("letters", "bf16")])
def test_options_are_scored_side_by_side_and_an_image_is_passed_once(scoring, precision):
    run = prepared(f"data.scoring={scoring}", *FEW)
    assert_alike(run, run.tasks[0], Compute(CPU, precision))


def test_a_task_without_images():
    run = prepared("tasks=tiny", *FEW)
    task = next(task for task in run.suite if task.kind == "text")
    assert_alike(run, task.sample(range(70)), FP32)


def test_answers_of_full_length_are_priced_and_their_weights_are_read_for_every_word(monkeypatch):
    run = prepared("data.scoring=generate", *FEW)
    config = replace(run.config.eval, max_new_tokens=5)
    # An answer that ends early takes less.
    monkeypatch.setattr("ablate.evaluation.verbs.generation.GenerationConfig", endless)
    found = assert_alike(run, run.tasks[0], FP32, config)
    vlm = load_model(run.config.model, FP32)
    language = vlm.llava.model.language_model
    own = {id(p): p.nbytes for p in (*language.parameters(), vlm.llava.lm_head.weight)}
    assert found.read_bytes == pytest.approx(sum(own.values()) * 4 * 3, rel=0.3)


def endless(**settings):
    return GenerationConfig(**settings, min_new_tokens=settings["max_new_tokens"])


def test_many_batches_are_priced_by_some_and_what_is_done_once_is_counted_once():
    run = prepared("data.test_items=700", "eval.batch_size=32")
    task = run.tasks[0]
    skeleton = vlm_skeleton(run.config.model, None)
    found = price_task(task, skeleton, run.config.eval, FP32)
    exact = price_task(task, skeleton, replace(run.config.eval, batch_size=175), FP32)
    assert found.flops == pytest.approx(exact.flops, rel=0.02)


def test_a_task_that_cannot_say_is_no_zero():
    run = prepared("tasks=tiny", *FEW)

    class Silent(Task):
        name, n, evaluate = "silent", 3, None

    task = Silent()
    with pytest.raises(NotImplementedError, match="gives no sample of its 3 items"):
        price_task(task, vlm_skeleton(run.config.model, None), run.config.eval, FP32)
