"""Every shipped method on a whole model: what it trains, what it leaves alone, and what is left of it."""

import dataclasses
import re

import pytest
import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils import set_peft_model_state_dict
from safetensors.torch import load, save
from tests.conftest import build_tiny_random_vlm
from tests.methods.sessions import RANK, method_config, outputs, task, weights

from ablate.config.errors import ConfigError
from ablate.config.folder import config_folder, group_files
from ablate.methods.build import build_method, check_method
from ablate.methods.peft_method import PeftMethod
from ablate.models.compute import Compute

pytestmark = pytest.mark.numerical

LANGUAGE = ("full-l", "lora-l", "lora-p", "lora-f", "lorsu-l")
WEIGHTS = ("full", "full-l", "ewc", "layernorm")
ENCODER = r"llava\.model\.vision_tower\."
ALL = tuple(group_files("method", [config_folder()]))
CASES = [(name, "lm") for name in ALL] + [(name, "clip") for name in ALL if name not in LANGUAGE]

# Trained scalars of the test model, counted by hand: encoder width 32, 3 blocks with an MLP of 64; language model width
# 32, 2 blocks with an MLP of 64 and keys of 16. LoRA's sum of in + out over a block is 448 there and 512 here.
SPARSE = 204  # floor(32 * 64 * 0.1)
LORSU_LM = 2 * (RANK * (3 * 32 + 2 * 3 * 8) + SPARSE + 64)
LORSU_CLIP = 3 * (RANK * (32 + 2 * 3 * 8) + SPARSE + 3 * 32 + 64) + RANK * (32 + 24)
COUNTS = {
    ("frozen", "lm"): 0,
    ("layernorm", "lm"): (2 * 3 + 2) * 2 * 32,
    ("lora", "lm"): 3 * 448 * RANK,
    ("dora", "lm"): 3 * (448 * RANK + 4 * 32 + 64 + 32),
    ("adalora", "lm"): 3 * 6 * (448 + 6),
    ("vera", "lm"): 3 * (6 * RANK + 4 * 32 + 64 + 32),
    ("spu", "lm"): 2 * SPARSE,
    ("spu", "clip"): 3 * SPARSE,
    ("lorsu", "lm"): LORSU_LM,
    ("lorsu", "clip"): LORSU_CLIP,
    ("lora-l", "lm"): 2 * 512 * RANK,
    ("lora-p", "lm"): 2 * 64 * RANK,
    ("lora-f", "lm"): (2 * 512 + 2 * 64 + 3 * 448) * RANK,
    ("lorsu-l", "lm"): 2 * (RANK * (3 * 32 + 2 * (16 + 8 + 8)) + SPARSE),
}
TRAINED = {
    "layernorm": ENCODER + r".*norm\d?\.(weight|bias)",
    "full-l": r"llava\.(model\.language_model|lm_head)\..*",
    "lora-l": r"llava\.model\.language_model\..*_proj\.lora_[AB]\..*",
    "lora-p": r"llava\.model\.multi_modal_projector\..*\.lora_[AB]\..*",
    "lora-f": r"llava\.model\.(language_model|multi_modal_projector|vision_tower)\..*\.lora_[AB]\..*",
    "lorsu-l": r"llava\.model\.language_model\..*\.(up|q|k|v)_proj\.lorsu_.*",
    "lorsu": rf"({ENCODER}.*|clip\.visual_projection)\.lorsu_.*",
    "spu": ENCODER + r".*\.fc1\.lorsu_entries\..*",
}


def attached(name, loss, vlm, seed=0, compute=None):
    vlm.requires_grad_(False)
    method = build_method(method_config(name), loss)
    made = task(vlm, loss, **({} if compute is None else {"compute": compute}))
    session = made.session(method, vlm, epochs=2, seed=seed)
    method.attach(vlm, session)
    return method, made


@pytest.mark.parametrize(("name", "loss"), CASES)
def test_attach_changes_no_output_and_trains_exactly_what_it_says(name, loss, tiny_random_vlm):
    before = outputs(tiny_random_vlm)
    attached(name, loss, tiny_random_vlm)
    assert torch.equal(outputs(tiny_random_vlm), before)
    trained = {n: p for n, p in tiny_random_vlm.named_parameters() if p.requires_grad}
    pattern = TRAINED.get(method_config(name).name, ENCODER + ".*")
    assert all(re.fullmatch(pattern, n) for n in trained)
    assert all(p.dtype == torch.float32 for p in trained.values())
    n_trained = sum(p.numel() for p in trained.values())
    if name in ("full", "ewc"):
        assert n_trained == sum(p.numel() for p in tiny_random_vlm.vision_tower.parameters())
    else:
        expected = COUNTS.get((name, loss), COUNTS.get((name, "lm")))
        assert expected is None or n_trained == expected


@pytest.mark.parametrize(("name", "loss"), [case for case in CASES if case[0] != "frozen"])
def test_training_moves_the_update_alone_and_merging_keeps_it(name, loss, tiny_random_vlm):
    vlm = tiny_random_vlm
    before, base_outputs = weights(vlm), outputs(vlm)
    method, made = attached(name, loss, vlm)
    frozen = {
        n.replace(".base_layer", "") for n, p in vlm.named_parameters() if not p.requires_grad
    }
    losses = made.train(method, vlm, epochs=2)
    assert len(losses) == 4
    adapted = outputs(vlm)
    assert not torch.allclose(adapted, base_outputs)
    now = weights(vlm)
    assert all(torch.equal(now[n], before[n]) for n in frozen & before.keys())

    stored = load(save(method.update()))
    assert stored
    method.merge()
    torch.testing.assert_close(outputs(vlm), adapted, rtol=1e-4, atol=1e-4)
    assert weights(vlm).keys() == before.keys() == dict(vlm.named_parameters()).keys()
    assert not any(p.requires_grad for p in vlm.parameters())
    assert not any(isinstance(module, BaseTunerLayer) for module in vlm.modules())

    if (
        name != "adalora"
    ):  # its file holds the ranks that are left; test_adalora.py multiplies them out
        restored = build_tiny_random_vlm()
        if name in WEIGHTS:
            assert not restored.load_state_dict(stored, strict=False).unexpected_keys
        else:
            again, _ = attached(name, loss, restored, seed=1)
            assert isinstance(again, PeftMethod)
            assert not set_peft_model_state_dict(again.peft_model, stored).unexpected_keys
        torch.testing.assert_close(outputs(restored), adapted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ALL)
def test_one_method_lives_through_sessions(name, tiny_random_vlm):
    vlm = tiny_random_vlm
    method, made = attached(name, "lm", vlm)
    updates = []
    for seed in (0, 1):
        made.train(method, vlm, epochs=2)
        updates.append(method.update())
        copies = {n: tensor.clone() for n, tensor in updates[0].items()}
        method.merge()
        between = outputs(vlm)
        made = task(vlm, "lm", seed=seed + 1)
        method.attach(vlm, made.session(method, vlm, epochs=2, seed=0))
        assert torch.equal(outputs(vlm), between)
    assert all(torch.equal(tensor, copies[n]) for n, tensor in updates[0].items())


@pytest.mark.parametrize("name", [name for name in ALL if name != "frozen"])
def test_half_precision_models_are_trained_in_float32_and_stay_what_they_are(name, tiny_random_vlm):
    vlm = tiny_random_vlm.to(torch.bfloat16)
    bf16 = Compute(torch.device("cpu"), "bf16")
    method, made = attached(name, "lm", vlm, compute=bf16)
    assert all(p.dtype == torch.float32 for p in vlm.parameters() if p.requires_grad)
    assert all(torch.isfinite(torch.tensor(made.train(method, vlm, epochs=1))))
    method.merge()
    assert all(p.dtype == torch.bfloat16 for p in vlm.parameters())


@pytest.mark.parametrize("name", LANGUAGE)
def test_the_contrastive_loss_cannot_train_the_language_model(name):
    with pytest.raises(ConfigError, match=rf"method '{name}'.*Fix: loss=lm\."):
        check_method(method_config(name), "clip")
    check_method(method_config(name), "lm")


def test_a_low_rank_method_needs_a_layer():
    config = method_config("lora", "method.target_modules.encoder=[]")
    with pytest.raises(ConfigError, match=r"names no layer.*Fix:"):
        check_method(config, "lm")


def test_a_method_of_the_language_model_needs_a_layer_too():
    config = method_config("lora-l", "method.target_modules.language_model=[]")
    with pytest.raises(ConfigError, match=r"^language\.target_modules.*Fix: language\.target_mod"):
        check_method(config, "lm", "language")


@pytest.mark.parametrize(("name", "by_loss"), [("lorsu", "variants"), ("spu", "blocks")])
def test_what_a_method_says_of_each_loss_is_there_for_the_one_that_trains(name, by_loss):
    config = method_config(name)
    lacking = dataclasses.replace(config, **{by_loss: {"clip": getattr(config, by_loss)["clip"]}})
    check_method(lacking, "clip")
    with pytest.raises(ConfigError, match=rf"loss is 'lm', but method\.{by_loss} .* given: clip\."):
        check_method(lacking, "lm")


@pytest.mark.parametrize("name", [name for name in ALL if name not in LANGUAGE])
def test_all_other_methods_go_with_both_losses(name):
    check_method(method_config(name), "clip")
    check_method(method_config(name), "lm")
