import re
from pathlib import Path

import pytest
import torch
import yaml
from peft import PeftConfig, get_peft_model
from tests.methods.lorsu import towers
from torch import nn

from ablate.config.errors import ConfigError
from ablate.methods.lorsu import LorsuConfig
from ablate.methods.lorsu.architecture import find_tower

SHIPPED = Path(__file__).parents[3] / "configs" / "method" / "lorsu.yaml"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"r": 0}, "r=0 given, but r must be at least 1."),
        ({"alpha": float("nan")}, "alpha must be a positive number"),
        ({"top_k_heads": -1}, "top_k_heads must be 0 or more"),
        ({"sparsity": 1.5}, "sparsity=1.5 given"),
        ({"blocks": 0}, "blocks must be at least 1"),
        ({"selection": "gradeint"}, "Unknown selection 'gradeint'. Did you mean 'gradient'?"),
        ({"init_side": "up"}, "Available: left, right."),
        ({"blocks_from": "middle"}, "Available: first, last."),
    ],
)
def test_mistakes_are_named_in_one_line(options, message):
    with pytest.raises(ConfigError, match=re.escape(message)) as error:
        LorsuConfig(**options)
    assert "\n" not in str(error.value)


def test_unknown_variant_is_refused():
    with pytest.raises(ConfigError, match="Did you mean 'clip'"):
        LorsuConfig.published("clap")


def test_survives_its_file(tmp_path):
    config = LorsuConfig.published("clip", r=5, blocks=3, tower="vision_tower", init_seed=2)
    config.save_pretrained(tmp_path)
    assert PeftConfig.from_pretrained(tmp_path) == config


def test_published_variants_are_those_of_the_shipped_configuration():
    shipped = yaml.safe_load(SHIPPED.read_text())
    for loss, variant in shipped["variants"].items():
        config = LorsuConfig.published(loss)
        for name in ("fused_qkv", "init_side", "train_qkv_bias", "train_fc1_bias"):
            assert getattr(config, name) == variant[name]
        assert bool(config.projections) == variant["visual_projection"]
        assert config.r == config.alpha == shipped["rank"]
        assert (config.top_k_heads, config.sparsity) == (
            shipped["top_k_heads"],
            shipped["sparsity"],
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"blocks": 4}, "blocks=4 given, but 'vision_model.encoder.layers' has only 3."),
        ({"top_k_heads": 5}, "top_k_heads=5 given"),
        ({"projections": ["head"]}, "Projection 'head' is not in the model"),
        ({"tower": "text_model"}, "tower 'text_model' has 0: none of a known architecture"),
    ],
)
def test_what_the_model_does_not_have_is_refused(options, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        find_tower(towers.clip_encoder(0), LorsuConfig(**options))


def test_model_with_two_towers_needs_the_name_of_one(tiny_random_vlm):
    with pytest.raises(ConfigError, match="Set `tower`"):
        find_tower(tiny_random_vlm, LorsuConfig())
    vision = find_tower(tiny_random_vlm, LorsuConfig(tower="vision_tower"))
    assert len(vision.blocks) == 3
    text = find_tower(tiny_random_vlm, LorsuConfig(tower="text_model"))
    assert text.blocks[0].q.startswith("clip.text_model.")
    language = find_tower(
        tiny_random_vlm, LorsuConfig(tower="language_model", blocks=1, blocks_from="last")
    )
    assert [block.fc1.split(".")[-4:] for block in language.blocks] == [
        ["layers", "1", "mlp", "up_proj"]
    ]


def test_names_of_older_vits_are_known():
    layer = nn.Module()
    layer.attention = nn.Module()
    layer.attention.attention = nn.Module()
    layer.attention.attention.attention_head_size = 4
    for name in ("query", "key", "value"):
        setattr(layer.attention.attention, name, nn.Linear(8, 8))
    layer.intermediate = nn.Module()
    layer.intermediate.dense = nn.Linear(8, 6)
    network = nn.Module()
    network.layer = nn.ModuleList([layer])
    block = find_tower(network, LorsuConfig()).blocks[0]
    assert block.qkv == tuple(f"layer.0.attention.attention.{n}" for n in ("query", "key", "value"))
    assert block.n_heads == 2


def test_layers_other_than_linear_are_refused():
    network = towers.clip_encoder(0)
    network.vision_model.encoder.layers[0].mlp.fc1 = nn.Bilinear(2, 2, 2)
    with pytest.raises(ConfigError, match="is a Bilinear"):
        get_peft_model(network, LorsuConfig(blocks=1))


def test_frozen_network_trains_only_what_the_config_says():
    network = towers.clip_encoder(0)
    model = get_peft_model(network, LorsuConfig(blocks=1, sparsity=0.5, top_k_heads=1))
    trained = {name for name, value in model.named_parameters() if value.requires_grad}
    prefix = "base_model.model.vision_model.encoder.layers.0."
    assert trained == {
        f"{prefix}mlp.fc1.lorsu_entries.default",
        f"{prefix}mlp.fc1.lorsu_bias.default",
        *(f"{prefix}self_attn.{p}_proj.lorsu_{m}.default" for p in "qkv" for m in "AB"),
    }
    assert torch.is_grad_enabled()
