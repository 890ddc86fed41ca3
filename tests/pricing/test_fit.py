"""The cheapest change that makes a run fit makes it fit, and a cheaper one would not."""

from dataclasses import replace

import pytest
from tests.methods.sessions import run_config
from tests.pricing.stages import CPU, FP32

from ablate.models.compute import Compute
from ablate.pricing.devices import Device, named_device
from ablate.pricing.fit import cheapest_change, fit
from ablate.pricing.planned import plan_run
from ablate.pricing.price import Pricer
from ablate.pricing.stand_in import stand_ins
from ablate.sweep.expansion import RunSpec

pytestmark = pytest.mark.filterwarnings("ignore:`gradient_checkpointing_:FutureWarning")

WORDS = ("data.test_items=64", "~data@controls.source")
BATCH = "train.batch_size=32"


def priced(*words, pricer=None, method="full"):
    words = (f"method={method}", *words)
    spec = RunSpec(words, run_config(*WORDS, *words))
    with stand_ins() as folders:
        run = plan_run(spec, folders)
    (price,) = (pricer or Pricer(FP32)).all([run])
    return price


def device(n_bytes):
    return Device("small", FP32, n_bytes, None)


def again_with(words, pricer):
    own = [BATCH] if not any(word.startswith("train.batch_size") for word in words) else []
    return priced(*own, "eval.batch_size=8", *words, pricer=pricer)


@pytest.fixture(scope="module")
def pricer():
    return Pricer(FP32)


@pytest.fixture(scope="module")
def whole(pricer):
    price = priced(BATCH, "eval.batch_size=8", pricer=pricer)
    assert price.stages[-1].peak_bytes == price.peak_bytes
    return price


def test_a_batch_of_evaluation_is_made_smaller_where_that_is_what_does_not_fit(pricer):
    price = priced("eval.batch_size=64", "train.batch_size=1", pricer=pricer, method="layernorm")
    small = device(price.peak_bytes - 1)
    found = cheapest_change(price, pricer, small)
    assert found.words == ("eval.batch_size=32",)
    assert fit(found.peak_bytes, small) == "yes"
    assert found.peak_bytes < price.peak_bytes


def test_activations_are_recomputed_before_batches_are_accumulated(whole, pricer):
    found = cheapest_change(whole, pricer, device(whole.peak_bytes - 1))
    assert found.words == ("train.gradient_checkpointing=true",)
    again = again_with(found.words, pricer)
    assert again.peak_bytes == found.peak_bytes


def test_batches_are_accumulated_to_the_same_step_where_recomputing_is_not_enough(whole, pricer):
    recomputed = cheapest_change(whole, pricer, device(whole.peak_bytes - 1))
    small = device(recomputed.peak_bytes - 1)
    found = cheapest_change(whole, pricer, small)
    again = again_with(found.words, pricer)
    recipe = again.run.config.train
    assert recipe.batch_size * recipe.accumulation_steps == 32
    assert recipe.accumulation_steps > 1
    assert again.peak_bytes == found.peak_bytes <= small.usable_bytes
    assert again.stages[-1].n_steps == whole.stages[-1].n_steps
    fewer = [
        word for word in found.words if "accumulation" not in word and "batch_size" not in word
    ]
    assert again_with(fewer, pricer).peak_bytes > small.usable_bytes


def test_batches_of_the_contrastive_loss_are_never_accumulated(pricer):
    price = priced("loss=clip", "eval.batch_size=1", pricer=pricer)
    found = cheapest_change(price, pricer, device(price.stages[-1].weight_bytes))
    assert found.words == ()
    assert found.device.name == "t4"


def test_what_fits_nowhere_has_no_change(whole, pricer):
    enormous = replace(whole.pieces[-1], peak_bytes=10**12)
    price = replace(whole, pieces=(*whole.pieces, enormous))
    assert cheapest_change(price, pricer, device(1000)) is None


def test_half_precision_comes_before_another_device(pricer):
    clip = (BATCH, "loss=clip", "eval.batch_size=1")
    whole = priced(*clip, pricer=pricer)
    recomputed = (*clip, "train.gradient_checkpointing=true")
    single = priced(*recomputed, pricer=pricer).peak_bytes
    half = priced(*recomputed, pricer=Pricer(Compute(CPU, "bf16"))).peak_bytes
    assert half < single
    known = named_device("l4", "fp32").accelerator
    small = Device("small", FP32, (single + half) // 2, known)
    found = cheapest_change(whole, pricer, small)
    assert found.words[0] == "precision=bf16"
    assert found.device.compute.precision == "bf16"
    assert found.peak_bytes <= small.usable_bytes


def test_tight_is_what_leaves_nothing_for_the_driver():
    known = named_device("h100", "auto")
    assert fit(int(74e9), known) == "yes"
    assert fit(int(79e9), known) == "tight"
    assert fit(int(81e9), known) == "no"
