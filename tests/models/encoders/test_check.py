"""The numbers of an encoder from its configuration alone, and every way to get one wrong."""

import dataclasses
import json

import pytest
import yaml
from pydantic import TypeAdapter
from tests.models.encoders import small

from ablate.config.errors import ConfigError
from ablate.config.folder import config_folder
from ablate.config.schema.encoders import EncoderConfig, EncoderPart
from ablate.models.encoders.check import EncoderFacts, encoder_facts, encoder_fingerprint

SHIPPED = sorted(path.stem for path in (config_folder() / "encoder").glob("*.yaml"))


def shipped(name: str) -> EncoderConfig:
    text = (config_folder() / "encoder" / f"{name}.yaml").read_text(encoding="utf-8")
    return TypeAdapter(EncoderConfig).validate_python(yaml.safe_load(text))


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_file_is_an_encoder_under_its_own_name(name):
    assert shipped(name).name == name


def test_every_real_encoder_has_a_tiny_one():
    assert {name for name in SHIPPED if not name.startswith("tiny-")} == {
        "siglip-so400m",
        "dino-siglip",
        "resnet-50",
        "vit-large",
        "clip-vit-large",
        "patches",
    }
    tiny = ("siglip", "dino-siglip", "resnet", "vit", "clip", "patches")
    assert {name for name in SHIPPED if name.startswith("tiny-")} == {f"tiny-{n}" for n in tiny}


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("clip", EncoderFacts(16, 24, 32, 1, 4, 2)),
        ("siglip", EncoderFacts(16, 32, 32, 1, 4, 2)),
        ("dinov2", EncoderFacts(16, 16, 32, 1, 4, 2)),
        ("vit", EncoderFacts(16, 24, 32, 1, 4, 2)),
        ("resnet", EncoderFacts(16, 32, 32, 0, None, None)),
        ("siglip+dinov2", EncoderFacts(16, 48, 32, 2, None, None)),
        ("siglip+resnet", EncoderFacts(16, 64, 32, 1, 4, 2)),
        ("patches", EncoderFacts(16, 192, 32, 0, None, None)),
    ],
)
def test_the_facts_need_no_weights(name, facts, tmp_path):
    config = small.encoder(name, tmp_path)
    for file in tmp_path.rglob("*.safetensors"):
        file.write_bytes(small.NO_TENSORS)
    assert encoder_facts(config) == facts


def test_grids_of_a_fused_pair_must_be_equal(tmp_path):
    first, second = small.save("siglip", tmp_path / "siglip"), small.save("vit", tmp_path / "vit")
    folder = tmp_path / "vit" / "config.json"
    folder.write_text(json.dumps({**json.loads(folder.read_text()), "patch_size": 4}))
    with pytest.raises(ConfigError) as caught:
        encoder_facts(EncoderConfig("pair", (first, second), None, None))
    message = str(caught.value)
    assert "\n" not in message
    assert "'pair'" in message
    assert "4 x 4" in message
    assert "8 x 8" in message
    assert "Fix:" in message


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prefix_tokens": 0}, r"gives 17 features after 0 prefix tokens.*Fix: count its class"),
        ({"prefix_tokens": 2}, r"gives 15 features after 2 prefix tokens"),
        ({"prefix_tokens": 17}, r"gives 0 features"),
        ({"layer": -5}, r"has 4 hidden states, but layer is -5; allowed: -4 to 3"),
        ({"layer": 4}, r"but layer is 4"),
    ],
)
def test_a_part_that_is_read_wrongly(changes, message, tmp_path):
    part = dataclasses.replace(small.save("clip", tmp_path), **changes)
    with pytest.raises(ConfigError, match=message):
        encoder_facts(EncoderConfig("clip", (part,), None, None))


@pytest.mark.parametrize("layer", [0, 1, 3, -1, -4])
def test_every_hidden_state_can_be_read(layer, tmp_path):
    part = dataclasses.replace(small.save("clip", tmp_path), layer=layer)
    facts = encoder_facts(EncoderConfig("clip", (part,), None, None))
    assert facts.n_blocks_read == layer % 4


def test_an_image_smaller_than_a_patch(tmp_path):
    part = small.save("siglip", tmp_path)
    with pytest.raises(ConfigError, match=r"takes no image of 4 pixels.*Fix:"):
        encoder_facts(EncoderConfig("siglip", (part,), 4, None))


def test_a_folder_without_a_model(tmp_path):
    part = EncoderPart(str(tmp_path / "none"), None, -2, 0)
    with pytest.raises(ConfigError, match=r"has no config\.json.*in encoder\.parts"):
        encoder_facts(EncoderConfig("none", (part,), None, None))


def test_a_folder_without_weights(tmp_path):
    part = small.save("siglip", tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ConfigError, match=r"holds no \.safetensors weights.*Fix:"):
        encoder_facts(EncoderConfig("siglip", (part,), None, None))


def test_a_damaged_file(tmp_path):
    part = small.save("siglip", tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(ConfigError, match=r"model\.safetensors is damaged"):
        encoder_facts(EncoderConfig("siglip", (part,), None, None))


@pytest.mark.parametrize(
    ("kind", "message"),
    [("none-such", "model type `none-such`"), ("llama", "cannot be an encoder: ")],
)
def test_a_model_that_cannot_see(kind, message, tmp_path):
    part = small.save("siglip", tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": kind}))
    with pytest.raises(ConfigError, match=rf"{message}.*Fix: give"):
        encoder_facts(EncoderConfig("siglip", (part,), None, None))


@pytest.mark.parametrize(
    ("image_size", "patch_size", "message"),
    [
        (None, 8, r"image_size and patch_size must be given.*Fix:"),
        (32, None, r"image_size and patch_size must be given.*Fix:"),
        (8, 32, r"patch_size is 32, but the image has 8 pixels.*Fix:"),
    ],
)
def test_raw_patches_need_both_sizes(image_size, patch_size, message):
    with pytest.raises(ConfigError, match=message):
        encoder_facts(EncoderConfig("patches", (), image_size, patch_size))


def test_parts_have_patches_of_their_own(tmp_path):
    part = small.save("siglip", tmp_path)
    with pytest.raises(ConfigError, match=r"patch_size is 8, but encoder 'siglip' has parts"):
        encoder_facts(EncoderConfig("siglip", (part,), None, 8))


def test_the_fingerprint_is_of_content_not_of_place(tmp_path):
    pair = [small.encoder("siglip+dinov2", tmp_path / place) for place in "ab"]
    assert encoder_fingerprint(pair[0]) == encoder_fingerprint(pair[1])
    other = EncoderConfig(
        "b", (pair[0].parts[0], small.save("dinov2", tmp_path / "c", 1)), None, None
    )
    read = EncoderConfig("b", (dataclasses.replace(pair[0].parts[0], layer=-1),), None, None)
    alone = EncoderConfig("b", pair[0].parts[:1], None, None)
    large = dataclasses.replace(alone, image_size=64)
    every = [encoder_fingerprint(config) for config in (pair[0], other, read, alone, large)]
    assert len(set(every)) == len(every)
