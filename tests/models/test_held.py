"""A process loads a model once, and gives every run the very same one."""

from dataclasses import replace

import pytest
import torch
from tests.methods.sessions import FP32, method_config, recipe, run_config, task

from ablate.methods.build import build_method
from ablate.models import held
from ablate.training.trainer import Trainer

METHODS = [
    "frozen",
    "full",
    "ewc",
    "layernorm",
    "lora",
    "dora",
    "adalora",
    "spu",
    "lorsu",
    "lora-l",
    "lora-f",
    "lorsu-l",
    "vera",
]


@pytest.fixture(autouse=True)
def nothing_held(monkeypatch):
    monkeypatch.setattr(held, "_held", [])


def state(vlm):
    return {name: tensor.clone() for name, tensor in held._state(vlm).items()}


def train_and_merge(vlm, name, loss):
    made = task(vlm, loss, side_px=32)
    method = build_method(method_config(name), loss)
    method.attach(vlm, made.session(method, vlm, epochs=2, seed=0))
    Trainer(vlm, method, made.loss, recipe(2), FP32, 0).train(lambda _: None)
    method.merge()
    vlm.requires_grad_(False).eval()
    return method


@pytest.mark.parametrize("name", METHODS)
def test_what_a_method_trained_is_put_back_bit_for_bit(name):
    run = run_config(f"method={name}")
    parts = build_method(run.method, "lm").parts()
    with held.borrowed(run, FP32, parts) as vlm:
        before = state(vlm)
        train_and_merge(vlm, name, "lm")
        moved = [key for key, tensor in state(vlm).items() if not torch.equal(tensor, before[key])]
        assert bool(moved) == (name != "frozen")
    with held.borrowed(run, FP32, parts) as again:
        assert again is vlm
        after = state(again)
        assert after.keys() == before.keys()
        assert all(torch.equal(after[key], before[key]) for key in before)
        assert not any(p.requires_grad for p in again.parameters())
        assert not any(module.training for module in again.modules())


def test_another_model_or_precision_is_loaded_anew():
    run = run_config()
    with held.borrowed(run, FP32, frozenset()) as vlm:
        pass
    with held.borrowed(run, replace(FP32, precision="bf16"), frozenset()) as other:
        assert other is not vlm
    swapped = run_config("+ablation=encoder", "encoder=tiny-vit", "ablation.value=tiny-vit")
    with held.borrowed(swapped, FP32, frozenset()) as assembled:
        assert assembled.clip is None


def test_a_run_that_fails_takes_its_model_along():
    run = run_config()
    with pytest.raises(RuntimeError), held.borrowed(run, FP32, frozenset()) as vlm:
        raise RuntimeError
    with held.borrowed(run, FP32, frozenset()) as again:
        assert again is not vlm


def test_a_held_model_gets_the_projector_of_its_seed():
    words = ["+ablation=encoder", "encoder=tiny-vit", "ablation.value=tiny-vit"]
    runs = [run_config(*words, f"seed={seed}") for seed in (0, 1, 0)]
    projectors = []
    for run in runs:
        with held.borrowed(run, FP32, frozenset()) as vlm:
            projector = vlm.llava.model.multi_modal_projector
            projectors.append(torch.cat([p.flatten() for p in projector.parameters()]).clone())
    assert torch.equal(projectors[0], projectors[2])
    assert not torch.equal(projectors[0], projectors[1])
    with held.borrowed(runs[1], FP32, frozenset()) as vlm:
        fresh = held.load_vlm(runs[1], FP32).llava.model.multi_modal_projector
        expected = torch.cat([p.flatten() for p in fresh.parameters()])
        assert torch.equal(expected, projectors[1])
