"""Whose speed is measured, and for what it counts."""

from tests.methods.sessions import run_config

from ablate.pricing.calibration import evaluation_key, training_key
from ablate.pricing.devices import device_here

CPU = device_here("cpu", "fp32")


def test_every_stage_has_a_speed_of_its_own_and_the_alignment_one_for_all_methods():
    run, other = (run_config("+ablation=freeze", f"method={name}") for name in ("full", "lora"))
    assert training_key(run, CPU, "align") == training_key(other, CPU, "align")
    assert training_key(run, CPU, "fine-tune") != training_key(other, CPU, "fine-tune")
    assert training_key(run, CPU, "align") != training_key(run, CPU, "fine-tune")


def test_what_is_trained_beside_a_method_counts():
    assert training_key(run_config("method@projector=lora-p"), CPU, "train") != training_key(
        run_config(), CPU, "train"
    )


def test_words_one_after_the_other_have_another_speed_than_letters():
    keys = {
        evaluation_key(run_config(*words), CPU, "shapes-barred")
        for words in (("data.scoring=letters",), ("data.scoring=generate",))
    }
    assert len(keys) == 2
