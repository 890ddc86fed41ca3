"""LoRSU on a swapped encoder: it finds the one stack of blocks inside, and says where there is none."""

import pytest
import torch
from tests.models.encoders import small
from transformers import Dinov2Config, Dinov2Model

from ablate.config.errors import ConfigError
from ablate.methods.lorsu import LorsuConfig
from ablate.methods.lorsu.architecture import find_tower
from ablate.models.assemble import assemble

PATHS = {
    "clip": ("encoder.layers", "self_attn"),
    "siglip": ("encoder.layers", "self_attn"),
    "dinov2": ("encoder.layer", "attention"),
    "vit": ("layers", "attention"),
}


def config():
    return LorsuConfig(r=2, alpha=2.0, tower="vision_tower", top_k_heads=1)


def model(name, folder):
    language = small.language(folder / "language")
    return assemble(small.encoder(name, folder), language, small.FP32, seed=0)


@pytest.mark.parametrize("kind", PATHS)
def test_it_finds_the_stack_inside_the_encoder(kind, tmp_path):
    stack, attention = PATHS[kind]
    tower = find_tower(model(kind, tmp_path), config())
    block = f"llava.model.vision_tower.parts.0.{stack}.1"
    assert len(tower.blocks) == 3
    assert tower.blocks[1].k == f"{block}.{attention}.k_proj"
    assert tower.blocks[1].fc1 == f"{block}.mlp.fc1"
    assert {found.n_heads for found in tower.blocks} == {4}


@pytest.mark.parametrize(("name", "n"), [("resnet", 0), ("patches", 0), ("siglip+dinov2", 2)])
def test_it_needs_exactly_one(name, n, tmp_path):
    with pytest.raises(ConfigError, match=rf"tower 'vision_tower' has {n}: "):
        find_tower(model(name, tmp_path), config())


def test_the_largest_dinov2_has_a_gated_mlp():
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    network = Dinov2Model(Dinov2Config(**sizes, image_size=28, use_swiglu_ffn=True))
    tower = find_tower(network, LorsuConfig(r=2, alpha=2.0, top_k_heads=1))
    assert [block.fc1 for block in tower.blocks] == [
        f"encoder.layer.{index}.mlp.up_proj" for index in range(2)
    ]
