"""The real encoders at the widths of the hub: their numbers at full depth, a step and an answer at two blocks."""

import dataclasses
from importlib import util
from pathlib import Path

import pytest
from tests.models.encoders import small

from ablate.models.encoders.check import EncoderFacts, encoder_facts

_FILE = Path(__file__).parents[2] / "scripts" / "check_full_size.py"


@pytest.fixture(scope="module")
def script():
    spec = util.spec_from_file_location("check_full_size", _FILE)
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FACTS = {
    "siglip-so400m": EncoderFacts(27**2, 1152, 384, 1, 16, 26),
    "dino-siglip": EncoderFacts(27**2, 1152 + 1024, 384, 2, None, None),
    "resnet-50": EncoderFacts(7**2, 2048, 224, 0, None, None),
    "vit-large": EncoderFacts(24**2, 1024, 384, 1, 16, 23),
    "clip-vit-large": EncoderFacts(24**2, 1024, 336, 1, 16, 23),
    "patches": EncoderFacts(27**2, 3 * 14**2, 384, 0, None, None),
}


def described(script, name, folder):
    """The encoder of a shipped file, its parts written out but for their weights."""
    config = script.read_encoder(name)
    parts = []
    for part in config.parts:
        kind, sizes, processor, settings = script.HUB[part.source]
        place = folder / part.source
        kind(**sizes).save_pretrained(place)
        processor(**settings).save_pretrained(place)
        (place / "model.safetensors").write_bytes(small.NO_TENSORS)
        parts.append(dataclasses.replace(part, source=str(place)))
    return dataclasses.replace(config, parts=tuple(parts))


@pytest.mark.parametrize("name", FACTS)
def test_the_real_encoders_are_what_their_files_say(name, script, tmp_path):
    assert encoder_facts(described(script, name, tmp_path)) == FACTS[name]


def test_resnet_50_on_448_pixels_has_four_times_the_features(script, tmp_path):
    config = dataclasses.replace(described(script, "resnet-50", tmp_path), image_size=448)
    assert encoder_facts(config).n_tokens == 14**2


def test_every_real_encoder_is_checked(script):
    assert set(script.REAL) == set(FACTS)


@pytest.mark.parametrize("name", ["siglip-so400m", "dino-siglip", "resnet-50", "vit-large"])
def test_it_takes_a_step_and_answers(name, script, tmp_path):
    seen = script.check(name, tmp_path, blocks=2)
    assert (seen["tokens"], seen["width"]) == (FACTS[name].n_tokens, FACTS[name].width)
    assert seen["gradients"]["encoder"] > 0.5
    assert seen["gradients"]["projector"] == seen["gradients"]["language"] == 1
    assert seen["answer"]
