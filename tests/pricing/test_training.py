"""A stage that is priced without a number in it takes what a real one takes."""

import gc
from dataclasses import replace

import pytest
from tests.methods.sessions import method_config, recipe, task
from tests.pricing.measured import most_bytes, operations
from tests.pricing.stages import CPU, EPOCHS, FP32, priced, small, stage

from ablate.methods.build import build_method
from ablate.methods.full import Full
from ablate.methods.joint import Joint
from ablate.models.compute import Compute
from ablate.models.skeleton import without_content
from ablate.pricing.given import Given
from ablate.pricing.training import price_stage
from ablate.training.audit import Probes, audit, totals
from ablate.training.importance import mean_gradients_of
from ablate.training.memory import recomputing
from ablate.training.trainer import Trainer

CASES = [
    ("adalora", "lm", "fp32"),
    ("dora", "lm", "fp32"),
    ("ewc", "lm", "fp32"),
    ("lorsu", "lm", "bf16"),
    ("full-l", "lm", "fp16"),
    ("lorsu", "clip", "fp32"),
    ("full", "clip", "bf16"),
]


def real(made, compute):
    """Attach, train and measure a real model; return scalars, operations and bytes by their names in `StagePrice`.

    DoRA of peft leaves cycles behind, which take memory until Python happens to look for them: here, after each step.
    """
    vlm, method, train = small(compute), made.method, made.train
    loss = made.examples(vlm).loss
    flops_before = operations(lambda: made.examples(vlm))
    parameters = method.importance_parameters(vlm)
    importance_flops = importance_bytes = 0
    if parameters:

        def rank():
            mean_gradients_of(parameters, vlm, loss, train, compute, 0)

        importance_flops, importance_bytes = operations(rank), most_bytes(vlm, rank)

    session = task(vlm, loss.name, compute=compute).session(method, vlm, EPOCHS, 0)

    def attach_and_train():
        nonlocal flops_before
        flops_before += operations(lambda: method.attach(vlm, session))
        train_once(lambda _: gc.collect())

    def train_once(on_step=lambda _: None):
        Trainer(vlm, method, loss, train, compute, 0).train(on_step)

    with recomputing(vlm, train.gradient_checkpointing):
        n_bytes, flops = most_bytes(vlm, attach_and_train), operations(train_once)
    probes = Probes(task(vlm, "lm", compute=compute).loss, None)
    flops_before += operations(lambda: audit(vlm, probes, compute))
    columns = totals(audit(vlm, probes, compute))
    return {
        "trained": columns["trainable_parameters"],
        "effective": columns["effective_parameters"],
        "n_steps": 2 * EPOCHS,
        "importance_flops": importance_flops,
        "measuring_flops": flops_before,
        "training_flops": flops,
        "importance_bytes": importance_bytes,
        "peak_bytes": n_bytes,
    }


def assert_alike(found, expected):
    for name in ("trained", "effective", "n_steps"):
        assert getattr(found, name) == expected[name], name
    for name in ("importance_flops", "measuring_flops", "training_flops"):
        assert getattr(found, name) == pytest.approx(expected[name], rel=0.02), name
    for name in ("importance_bytes", "peak_bytes"):
        assert getattr(found, name) == pytest.approx(expected[name], rel=0.2), name


@pytest.mark.parametrize(("name", "loss", "precision"), CASES)
def test_the_price_is_what_a_real_stage_takes(name, loss, precision):
    compute, config = Compute(CPU, precision), method_config(name)
    expected = real(stage(build_method(config, loss), loss), compute)
    assert_alike(priced(stage(build_method(config, loss), loss), compute), expected)


def joint():
    """EWC beside others: it passes its data while it alone is trained."""
    return Joint(
        {
            "encoder": build_method(method_config("ewc"), "lm"),
            "language_model": build_method(method_config("lora-l"), "lm"),
            "projector": Full("projector", 1.0),
        }
    )


def test_several_methods_at_once_have_one_price():
    compute = FP32
    assert_alike(priced(stage(joint(), "lm"), compute), real(stage(joint(), "lm"), compute))


@pytest.mark.filterwarnings("ignore:`gradient_checkpointing_:FutureWarning")
def test_checkpointing_takes_operations_and_saves_bytes_as_it_does_in_earnest():
    compute, config = FP32, method_config("full")
    train = replace(recipe(EPOCHS), gradient_checkpointing=True)
    found = priced(stage(build_method(config, "lm"), "lm", train), compute)
    assert_alike(found, real(stage(build_method(config, "lm"), "lm", train), compute))
    plain = priced(stage(build_method(config, "lm"), "lm"), compute)
    assert found.training_flops > plain.training_flops
    assert found.peak_bytes < plain.peak_bytes


def test_what_stages_share_changes_no_price():
    skeleton = without_content(small(FP32))
    small_rank = replace(method_config("lorsu"), rank=2)
    first, second = (
        stage(build_method(config, "lm"), "lm") for config in (method_config("lorsu"), small_rank)
    )
    given = Given(first, skeleton, FP32, 0)
    price_stage(first, skeleton, FP32, 0, given)
    shared = price_stage(second, skeleton, FP32, 0, given)
    alone = priced(stage(build_method(small_rank, "lm"), "lm"), FP32)
    # The audit's operations are those of the first one's rank.
    assert shared.measuring_flops == pytest.approx(alone.measuring_flops, rel=0.01)
    assert shared == replace(alone, measuring_flops=shared.measuring_flops)


def test_what_trains_nothing_makes_no_step():
    found = priced(stage(build_method(method_config("frozen"), "lm"), "lm"), FP32)
    assert (found.trained, found.n_steps, found.training_flops) == (0, 0, 0)


def test_accumulated_batches_take_the_operations_of_one_and_fewer_bytes():
    compute, config = FP32, method_config("full")
    whole, halves = (
        priced(
            stage(
                build_method(config, "lm"),
                "lm",
                replace(recipe(1), batch_size=size, accumulation_steps=steps),
            ),
            compute,
        )
        for size, steps in ((8, 1), (4, 2))
    )
    assert halves.training_flops == pytest.approx(whole.training_flops, rel=0.02)
    assert halves.n_steps == whole.n_steps == 1
    assert halves.activation_bytes < 0.7 * whole.activation_bytes
