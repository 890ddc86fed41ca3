"""Which layers get an adapter: those of the part that was named, never CLIP's text tower."""

import re

import pytest

from ablate.config.errors import ConfigError
from ablate.config.schema import TargetModules
from ablate.methods.targets import target_pattern


def matched(vlm, **parts):
    targets = TargetModules(**{"encoder": (), "projector": (), "language_model": (), **parts})
    pattern = target_pattern(vlm, targets)
    return [path for path, _ in vlm.named_modules() if re.fullmatch(pattern, path)]


def test_names_shared_with_other_towers_match_in_their_part_alone(tiny_random_vlm):
    tower = "llava.model.vision_tower.encoder.layers"
    assert matched(tiny_random_vlm, encoder=("q_proj",)) == [
        f"{tower}.{block}.self_attn.q_proj" for block in range(3)
    ]
    language = "llava.model.language_model.layers"
    assert matched(tiny_random_vlm, language_model=("q_proj",)) == [
        f"{language}.{block}.self_attn.q_proj" for block in range(2)
    ]


def test_parts_add_up(tiny_random_vlm):
    paths = matched(tiny_random_vlm, encoder=("fc1", "fc2"), projector=("linear_1",))
    assert len(paths) == 3 * 2 + 1
    assert "llava.model.multi_modal_projector.linear_1" in paths


def test_a_layer_that_is_not_there_is_named(tiny_random_vlm):
    with pytest.raises(
        ConfigError, match=r"encoder 'o_proj'. Did you mean '.*_proj'\? Available: .*fc1"
    ):
        matched(tiny_random_vlm, encoder=("q_proj", "o_proj"))
