"""Full fine-tuning of an encoder with BatchNorm: its statistics are part of the update."""

import pytest
import torch
from tests.methods.sessions import method_config
from tests.models.encoders import small
from torch import nn

from ablate.methods.base import Session
from ablate.methods.build import build_method
from ablate.models.assemble import assemble

pytestmark = pytest.mark.numerical


@pytest.fixture
def build(tmp_path):
    encoder, language = small.encoder("resnet", tmp_path), small.language(tmp_path / "language")
    return lambda: assemble(encoder, language, small.FP32, seed=0)


def attached(vlm, name="full"):
    method = build_method(method_config(name), "lm")
    method.attach(vlm, Session(lambda _: torch.zeros(()), 1, 1, {}, 0))
    return method


def pixels():
    return torch.randn(2, 3, small.SIDE, small.SIDE, generator=torch.Generator().manual_seed(0))


def train(vlm):
    vlm.train()
    optimizer = torch.optim.SGD([p for p in vlm.parameters() if p.requires_grad], lr=0.1)
    for _ in range(2):
        vlm.image_tokens(pixels()).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    vlm.eval()


def statistics(vlm):
    return {
        f"{path}.{name}": buffer
        for path, module in vlm.named_modules()
        if isinstance(module, nn.BatchNorm2d)
        for name, buffer in module.named_buffers()
        if name != "num_batches_tracked"
    }


def test_the_update_restores_weights_and_statistics(build):
    vlm, unadapted = build(), build()
    method = attached(vlm)
    train(vlm)
    update = method.update()
    moved = statistics(vlm)
    assert moved
    assert moved.keys() <= update.keys()
    before = statistics(unadapted)
    assert all(not torch.equal(moved[name], before[name]) for name in moved)
    with torch.no_grad():
        expected = vlm.image_tokens(pixels())
    kept = {name: tensor.clone() for name, tensor in update.items()}
    method.merge()
    train(vlm.requires_grad_(True))
    assert all(torch.equal(update[name], kept[name]) for name in update)

    again = build_method(method_config("full"), "lm")
    again.load(unadapted, update, seed=0)
    again.merge()
    other = build()
    assert not other.load_state_dict(update, strict=False).unexpected_keys
    with torch.no_grad():
        assert torch.equal(unadapted.image_tokens(pixels()), expected)
        assert torch.equal(other.image_tokens(pixels()), expected)


def test_a_frozen_encoder_keeps_both(build):
    vlm = build()
    before = {name: tensor.clone() for name, tensor in vlm.vision_tower.state_dict().items()}
    method = attached(vlm, "full-l")
    vlm.llava.model.multi_modal_projector.requires_grad_(True)
    train(vlm)
    assert all(torch.equal(t, before[n]) for n, t in vlm.vision_tower.state_dict().items())
    assert not [name for name in method.update() if "vision_tower" in name]


def test_an_encoder_without_weights_has_no_update(tmp_path):
    language = small.language(tmp_path / "language")
    vlm = assemble(small.encoder("patches", tmp_path), language, small.FP32, seed=0)
    method = attached(vlm)
    assert method.update() == {}
    assert not any(p.requires_grad for p in vlm.parameters())
