"""Attention and quantisation of the language model: what they change, what they leave alone, what is refused."""

from dataclasses import replace

import pytest
import torch
from bitsandbytes.nn import Linear4bit, Linear8bitLt
from tests.methods.sessions import method_config, recipe, task
from tests.models.encoders import small
from torch import nn

from ablate.config.errors import ConfigError
from ablate.methods.build import build_method
from ablate.models import options
from ablate.models.assemble import assemble
from ablate.models.compute import Compute
from ablate.models.loading import load_model
from ablate.training.trainer import Trainer

BITS = {"4bit": Linear4bit, "8bit": Linear8bitLt}
# How far logits move relative to their norm: 0.04 and 0.002 here.
CLOSE = {"4bit": 0.1, "8bit": 0.01}
CUDA_BF16 = Compute(torch.device("cuda:0"), "bf16")


def shipped(**values):
    """The tiny model: on the CPU, bitsandbytes takes no narrower layer than 64."""
    return small.model(llava="tiny:llava", clip="tiny:clip", **values)


def logits(vlm, pixels):
    ids = torch.tensor([vlm.prompt_ids("what is this?")])
    wanted = torch.zeros_like(ids, dtype=torch.bool)
    wanted[0, -1] = True
    return vlm(ids, torch.ones_like(ids), wanted, pixels)


@pytest.fixture(scope="module")
def pixels():
    generator = torch.Generator().manual_seed(0)
    return torch.randint(256, (1, 3, 32, 32), dtype=torch.uint8, generator=generator)


@pytest.fixture(scope="module")
def plain():
    return load_model(shipped(), small.FP32)


def test_every_part_attends_by_sdpa(plain):
    configs = [
        plain.llava.config.text_config,
        plain.vision_tower.config,
        plain.clip.text_model.config,
    ]
    assert {config._attn_implementation for config in configs} == {"sdpa"}


def test_attention_is_that_of_the_language_model_alone(plain, pixels):
    eager = load_model(shipped(attention="eager"), small.FP32)
    assert eager.llava.model.language_model.config._attn_implementation == "eager"
    assert eager.vision_tower.config._attn_implementation == "sdpa"
    torch.testing.assert_close(logits(eager, pixels), logits(plain, pixels), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("bits", BITS)
def test_the_language_model_alone_is_quantised(bits, plain, pixels):
    vlm = load_model(shipped(quantization=bits), small.FP32)
    kinds = {
        path: type(module) for path, module in vlm.named_modules() if isinstance(module, nn.Linear)
    }
    inside = {path for path in kinds if path.startswith("llava.model.language_model.")}
    assert len(inside) == 3 * 7
    assert {kinds[path] for path in inside} == {BITS[bits]}
    assert {kind for path, kind in kinds.items() if path not in inside} == {nn.Linear}
    untouched = dict(plain.named_parameters())
    for name, parameter in vlm.named_parameters():
        if name.rpartition(".")[0] not in inside:
            assert torch.equal(parameter, untouched[name]), name
    change = (logits(vlm, pixels) - logits(plain, pixels)).norm() / logits(plain, pixels).norm()
    assert 0 < change < CLOSE[bits]


@pytest.mark.parametrize("bits", BITS)
def test_an_encoder_learns_through_a_quantised_language_model(bits, pixels):
    vlm = load_model(shipped(quantization=bits), small.FP32)
    with torch.inference_mode():
        logits(vlm, pixels)  # a run evaluates the base model first
    weights = {name: tensor.clone() for name, tensor in vlm.named_parameters()}
    made = task(vlm, "lm", side_px=32)
    method = build_method(method_config("lorsu"), "lm")
    method.attach(vlm, made.session(method, vlm, epochs=8, seed=0))
    losses = []
    Trainer(vlm, method, made.loss, recipe(8), small.FP32, 0).train(losses.append)
    method.merge()
    moved = {n for n, tensor in vlm.named_parameters() if not torch.equal(tensor, weights[n])}
    assert moved
    assert all(".vision_tower." in name for name in moved)
    assert sum(losses[-2:]) < sum(losses[:2])


def test_a_quantised_language_model_takes_an_encoder_of_its_own(tmp_path):
    language = small.model(language="tiny:language", quantization="4bit")
    vlm = assemble(small.encoder("clip", tmp_path), language, small.FP32, seed=0)
    assert isinstance(vlm.llava.model.language_model.layers[0].mlp.up_proj, Linear4bit)
    assert type(vlm.llava.lm_head) is nn.Linear
    assert (
        logits(vlm, torch.zeros(1, 3, small.SIDE, small.SIDE, dtype=torch.uint8)).isfinite().all()
    )


@pytest.mark.parametrize(
    ("values", "compute", "message"),
    [
        (
            {"attention": "flash_attention_2"},
            small.FP32,
            "needs a GPU and half precision, but device is 'cpu'",
        ),
        (
            {"attention": "flash_attention_2"},
            replace(CUDA_BF16, precision="fp32"),
            "precision 'fp32'",
        ),
        ({"attention": "flash_attention_2"}, CUDA_BF16, "Fix: pip install flash-attn"),
        (
            {"quantization": "4bit"},
            replace(small.FP32, device=torch.device("mps")),
            "device is 'mps'",
        ),
    ],
)
def test_what_this_machine_does_not_have_is_refused(values, compute, message):
    with pytest.raises(ConfigError, match=message):
        options.check_options(small.model(llava="x", **values), compute)


def test_quantisation_without_its_package_is_refused(monkeypatch):
    monkeypatch.setattr(options, "find_spec", lambda _name: None)
    with pytest.raises(ConfigError, match=r"pip install 'ablate-vlm\[quantization\]'"):
        options.check_options(small.model(llava="x", quantization="8bit"), small.FP32)
