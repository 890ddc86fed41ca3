"""What a method costs, without weights, is what it costs with them."""

import json
import resource
import shutil
import time
from dataclasses import replace

import pytest
import torch
from tests.conftest import build_tiny_random_vlm
from tests.methods.sessions import method_config, run_config, task
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from transformers import CLIPImageProcessorPil

from ablate.config.folder import config_folder, group_files
from ablate.methods.build import build_method
from ablate.methods.cost import Batch, cost
from ablate.methods.full import Full
from ablate.methods.joint import Joint
from ablate.models.skeleton import vlm_skeleton

ALL = tuple(group_files("method", [config_folder()]))
LANGUAGE = ("full-l", "lora-l", "lora-p", "lora-f", "lorsu-l")
CASES = [(name, "lm") for name in ALL] + [(name, "clip") for name in ALL if name not in LANGUAGE]


def real_step(method, loss):
    """Return scalars, bytes and operations of a step of four images on a real model, and the step's shape."""
    vlm = build_tiny_random_vlm().requires_grad_(False)
    made = task(vlm, loss)
    method.attach(vlm, made.session(method, vlm, epochs=2, seed=0))
    trained = [p for p in vlm.parameters() if p.requires_grad]
    n_bytes = sum(t.numel() * t.element_size() for t in (*vlm.parameters(), *vlm.buffers()))
    rows = torch.arange(4)
    tokens = int(made.loss._lengths[rows].max()) if loss == "lm" else 0
    batch = Batch(4, tokens, made.loss.n_terms(rows))
    vlm.train()
    flops = 0
    if trained:
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            value, penalty = made.loss(vlm, rows), method.penalty()
            (value if penalty is None else value + penalty).backward()
        flops = counter.get_total_flops()
    return sum(p.numel() for p in trained), n_bytes, flops, batch


@pytest.mark.parametrize(("name", "loss"), CASES)
def test_the_cost_is_that_of_a_real_step(name, loss):
    config = method_config(name)
    scalars, n_bytes, flops, batch = real_step(build_method(config, loss), loss)
    vlm = build_tiny_random_vlm().requires_grad_(False)
    found = cost(build_method(config, loss), vlm, loss, batch)
    assert found.trained_scalars == scalars
    assert found.weight_bytes == n_bytes
    assert found.gradient_bytes == 4 * scalars
    assert found.optimizer_bytes == 8 * scalars
    assert found.step_flops == pytest.approx(flops, rel=0.02)
    assert not any(p.requires_grad or p.is_meta for p in vlm.parameters())


def test_several_methods_at_once_have_one_cost():
    def joint():
        return Joint(
            {
                "encoder": build_method(method_config("lorsu"), "lm"),
                "language_model": build_method(method_config("lora-l"), "lm"),
                "projector": Full("projector", 1.0),
            }
        )

    scalars, n_bytes, flops, batch = real_step(joint(), "lm")
    found = cost(joint(), build_tiny_random_vlm().requires_grad_(False), "lm", batch)
    assert (found.trained_scalars, found.weight_bytes) == (scalars, n_bytes)
    assert found.step_flops == pytest.approx(flops, rel=0.02)


def test_nothing_is_computed_below_what_is_trained():
    vlm = build_tiny_random_vlm().requires_grad_(False)
    batch = Batch(4, 20, 8)
    last = method_config("lorsu-l")
    configs = [method_config("frozen"), replace(last, blocks=1), last]
    flops = [cost(build_method(config, "lm"), vlm, "lm", batch).step_flops for config in configs]
    assert flops == sorted(set(flops))
    assert flops[0] == 0


VISION = {
    "model_type": "clip_vision_model",
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "image_size": 336,
    "patch_size": 14,
    "projection_dim": 768,
}
TEXT = {"hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32}
TEXT |= {"model_type": "llama", "num_attention_heads": 32, "vocab_size": 32064}


@pytest.fixture
def real_sizes(tmp_path, model_folder):
    """Folders of LLaVA-1.5-7B and its CLIP without any weights, read by the random model's tokenizers."""
    sizes = {"llava": {"vision_config": VISION, "text_config": TEXT}}
    sizes["clip"] = {"vision_config": VISION, "projection_dim": 768}
    ignored = shutil.ignore_patterns("*.safetensors", "clip", "processor_config.json")
    for name, source in (("llava", model_folder), ("clip", model_folder / "clip")):
        shutil.copytree(source, tmp_path / name, ignore=ignored)
        config = json.loads((tmp_path / name / "config.json").read_text()) | sizes[name]
        (tmp_path / name / "config.json").write_text(json.dumps(config))
    CLIPImageProcessorPil(
        size={"shortest_edge": 336}, crop_size={"height": 336, "width": 336}
    ).save_pretrained(tmp_path / "llava")
    words = [f"model.llava={tmp_path / 'llava'}", f"model.clip={tmp_path / 'clip'}"]
    words += ['model.prompt="<image>{question}"', 'model.turn="{question}"']
    return run_config("model=llava", *words).model


@pytest.mark.parametrize(
    ("name", "loss", "scalars"),
    [
        ("lorsu", "clip", 12_515_728),  # counted by hand in docs/methods.md
        ("lorsu", "lm", 14_828_330),
        ("vera", "lm", 24 * (6 * 64 + 4 * 1024 + 4096 + 1024)),
        ("lora-f", "lm", None),
    ],
)
def test_a_7b_model_costs_seconds_and_no_memory(name, loss, scalars, real_sizes):
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    vlm = vlm_skeleton(real_sizes, None, torch.bfloat16)
    config = run_config(f"method={name}").method
    found = cost(build_method(config, loss), vlm, loss, Batch(16, 640, 32))
    assert time.monotonic() - start < 60
    assert (
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000
    )  # KB; the weights are 14 GB
    assert scalars is None or found.trained_scalars == scalars
    assert 14e9 < found.weight_bytes < 17e9
    if loss == "lm":
        # A forward pass is 2 operations for each weight and token; going back down to the encoder is as much again.
        assert found.step_flops == pytest.approx(16 * 640 * 4 * 6.5e9, rel=0.3)
