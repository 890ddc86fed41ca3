from dataclasses import replace

import numpy as np
import pytest

from ablate.world.rendering import STYLES, render
from ablate.world.scenes import COLOURS, SHAPES, sample_scenes

INDICES = np.arange(96)
SCENES = sample_scenes("tests", INDICES, 1 + INDICES % 4)


@pytest.mark.parametrize("style", STYLES)
def test_scene_is_the_same_in_any_batch(style):
    some = np.array([40, 7])
    again = sample_scenes("tests", some, 1 + some % 4)
    assert np.array_equal(render(again, style), render(SCENES, style)[some])


def test_streams_give_other_scenes():
    other = sample_scenes("others", INDICES, 1 + INDICES % 4)
    assert not np.array_equal(render(other, "filled"), render(SCENES, "filled"))


def test_barred_is_filled_plus_grey_bars():
    filled = render(SCENES, "filled").astype(int)
    barred = render(SCENES, "barred").astype(int)
    touched = (filled != barred).any(axis=-1)
    assert 0.1 < touched.mean() < 0.7
    # Where a bar covers fully, nothing of the scene shows: the three channels are equal.
    grey = (barred.max(axis=-1) - barred.min(axis=-1)) == 0
    coloured = (filled.max(axis=-1) - filled.min(axis=-1)) > 0
    assert (grey & coloured).sum() > 200
    # A partly covered pixel lies between the scene and a grey of the bars' range.
    assert barred[touched & ~coloured].max() <= max(filled[touched & ~coloured].max(), 179)


def test_empty_quadrants_hold_background_and_filled_ones_do_not():
    image = render(SCENES, "filled").astype(int)
    for scene in range(len(SCENES)):
        for quadrant in range(4):
            rows = slice(16 * (quadrant // 2), 16 * (quadrant // 2) + 16)
            columns = slice(16 * (quadrant % 2), 16 * (quadrant % 2) + 16)
            differs = np.ptp(image[scene, rows, columns].reshape(-1, 3), axis=0).max() > 0
            assert differs == SCENES.present[scene, quadrant]


def test_area_of_plain_shapes_is_that_of_their_geometry():
    indices = np.arange(64)
    scenes = sample_scenes("areas", indices, np.ones_like(indices), indices % len(SHAPES))
    white = np.full_like(scenes.colour, COLOURS.index("white"))
    scenes = replace(scenes, colour=white, background=np.zeros(64), size=np.ones_like(white))
    coverage = (render(scenes, "filled")[..., 0] / 255 - 0.05).sum(axis=(1, 2))
    brightness = 0.8 + 0.2 * scenes.jitter[scenes.present][:, 2] - 0.05
    area = coverage / brightness / 6.8**2
    expected = {"circle": np.pi * 0.95**2, "square": 1.7**2, "diamond": 2 * 1.08**2}
    expected["ring"] = np.pi * (0.98**2 - 0.54**2)
    for name, value in expected.items():
        assert np.allclose(area[indices % 8 == SHAPES.index(name)], value, rtol=0.05), name


def test_texture_shows_in_the_textured_style_only():
    striped = replace(SCENES, texture=np.ones_like(SCENES.texture))
    plain = replace(SCENES, texture=np.zeros_like(SCENES.texture))
    assert np.array_equal(render(striped, "filled"), render(plain, "filled"))
    assert not np.array_equal(render(striped, "textured"), render(plain, "textured"))
