"""Each change of an image against a plain version in numpy; the draws against what they are to be."""

import colorsys
import math

import numpy as np
import pytest
import torch
from PIL import Image

from ablate.config.schema import AugmentConfig
from ablate.training.augmentation import (
    COLOURS,
    AugmentedImages,
    Change,
    changed,
    drawn_change,
)

CLIP = AugmentConfig(
    crop_scale=(0.9, 1.0),
    jitter_probability=0.8,
    brightness=0.32,
    contrast=0.32,
    saturation=0.32,
    hue=0.08,
    grey_probability=0.2,
)
GREY = np.array([0.299, 0.587, 0.114])


def picture(width=30, height=24):
    coarse = np.random.default_rng(0).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def levels(image):
    return np.asarray(image, dtype=np.float64)


def plain(kind, image, factor):
    """The change in real numbers, as torchvision's documentation words it."""
    rgb = levels(image)
    grey = rgb @ GREY
    if kind == "hue":
        turned = []
        for pixel in rgb.reshape(-1, 3) / 255:
            hue, saturation, value = colorsys.rgb_to_hsv(*pixel)
            turned.append(colorsys.hsv_to_rgb((hue + factor) % 1, saturation, value))
        return np.array(turned).reshape(rgb.shape) * 255
    away_from = {"brightness": 0.0, "contrast": grey.mean(), "saturation": grey[..., None]}
    return np.clip(away_from[kind] + factor * (rgb - away_from[kind]), 0, 255)


@pytest.mark.parametrize("factor", [0.68, 0.9, 1.0, 1.32])
@pytest.mark.parametrize("kind", ["brightness", "contrast", "saturation"])
def test_a_change_of_colours_is_the_plain_one(kind, factor):
    found = levels(COLOURS[kind](picture(), factor))
    # PIL rounds the greys and the result to whole levels.
    assert np.abs(found - plain(kind, picture(), factor)).max() <= 1.5


@pytest.mark.parametrize("shift", [-0.08, -0.02, 0.0, 0.08])
def test_a_turn_of_the_hue_is_the_plain_one(shift):
    # The hue has 256 levels in PIL: one of them is up to 6 levels of a colour.
    difference = np.abs(levels(COLOURS["hue"](picture(), shift)) - plain("hue", picture(), shift))
    assert difference.max() <= 8
    assert difference.mean() <= 2


def test_grey_is_the_luminance_in_all_channels():
    found = levels(changed(picture(), Change((0, 0, 30, 24), (), is_grey=True), 16))
    resized = levels(picture().resize((16, 16), Image.Resampling.BICUBIC))
    assert np.abs(found - (resized @ GREY)[..., None]).max() <= 1


def test_a_crop_is_cut_and_resized_and_its_colours_change_in_order():
    change = Change((3, 2, 25, 20), (("hue", 0.05), ("contrast", 1.2)), is_grey=False)
    expected = picture().crop((3, 2, 25, 20)).resize((16, 16), Image.Resampling.BICUBIC)
    for kind, factor in change.colours:
        expected = COLOURS[kind](expected, factor)
    np.testing.assert_array_equal(levels(changed(picture(), change, 16)), levels(expected))


def test_draws_are_spread_as_they_should_be():
    torch.manual_seed(0)
    n, width, height = 4000, 90, 80
    changes = [drawn_change((width, height), CLIP) for _ in range(n)]
    boxes = np.array([change.box for change in changes], dtype=float)
    w, h = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    assert (boxes.min(axis=0) >= 0).all()
    assert (boxes[:, 2].max(), boxes[:, 3].max()) == (width, height)
    share, ratio = w * h / (width * height), w / h
    assert 0.88 < share.min() < 0.92
    assert share.max() <= 1
    assert ratio.max() < 4 / 3 * 1.02
    # Left is uniform over where the crop fits.
    free = width - w > 5
    assert (boxes[free, 0] / (width - w[free])).mean() == pytest.approx(0.5, abs=0.03)

    def share_of(happened):
        return pytest.approx(np.mean(list(happened)), abs=4 * math.sqrt(0.25 / n))

    assert share_of(bool(change.colours) for change in changes) == 0.8
    assert share_of(change.is_grey for change in changes) == 0.2
    for kind, (low, high) in {"contrast": (0.68, 1.32), "hue": (-0.08, 0.08)}.items():
        factors = np.array([dict(c.colours)[kind] for c in changes if c.colours])
        assert low <= factors.min() < low + 0.01 * (high - low)
        assert high - 0.01 * (high - low) < factors.max() <= high
        assert factors.mean() == pytest.approx((low + high) / 2, abs=0.03 * (high - low))
    firsts = [change.colours[0][0] for change in changes if change.colours]
    assert all(
        firsts.count(kind) / len(firsts) == pytest.approx(0.25, abs=0.04) for kind in COLOURS
    )


@pytest.mark.parametrize(
    ("size", "box"),
    [
        ((300, 20), (136, 0, 163, 20)),
        ((20, 300), (0, 136, 20, 163)),
        ((200, 100), (33, 0, 166, 100)),
    ],
)
def test_of_a_long_image_the_middle_is_taken(size, box):
    assert drawn_change(size, CLIP).box == box


def test_images_are_changed_anew_by_torchs_generator_alone():
    images = AugmentedImages(lambda rows: [picture(30 + row, 24) for row in rows], CLIP, 16)
    torch.manual_seed(3)
    state = torch.get_rng_state()
    first, second = images(torch.tensor([4, 0, 2])), images(torch.tensor([4, 0, 2]))
    assert first.shape == (3, 3, 16, 16)
    assert first.dtype == torch.uint8
    assert not torch.equal(first, second)
    torch.set_rng_state(state)
    assert torch.equal(images(torch.tensor([4, 0, 2])), first)


def test_without_chances_nothing_but_the_crop_is_left():
    none = AugmentConfig((1.0, 1.0), 0.0, 0.32, 0.32, 0.32, 0.08, 0.0)
    change = drawn_change((24, 24), none)
    assert (change.colours, change.is_grey) == ((), False)
