import numpy as np
import pytest
import torch
from PIL import Image
from tests.models.encoders import small
from transformers import CLIPImageProcessorPil, SiglipImageProcessorPil

from ablate.config.errors import ConfigError
from ablate.models.encoders.preprocessing import (
    image_side,
    load_preprocessing,
    normalisation,
    padded,
    raw_preprocessing,
    resized,
)


def picture(width=50, height=40, mode="RGB"):
    generator = np.random.default_rng(0)
    levels = generator.integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(levels).convert(mode)


def load(part, image_size=None):
    return load_preprocessing(part.source, part.revision, image_size)


@pytest.mark.parametrize("kind", small.KINDS)
def test_it_is_the_models_own_in_two_steps(kind, tmp_path):
    processor = load(small.save(kind, tmp_path))
    assert type(processor) is type(small.PROCESSORS[kind])
    pixels = resized(processor, [picture(), picture(33, 77)])
    assert pixels.dtype == torch.uint8
    assert pixels.shape == (2, 3, small.SIDE, small.SIDE)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in normalisation(processor))
    expected = small.PROCESSORS[kind]([picture(), picture(33, 77)], return_tensors="pt")
    torch.testing.assert_close(
        (pixels / 255 - mean) / std, expected["pixel_values"], rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("kind", small.KINDS)
def test_an_image_size_replaces_its_own(kind, tmp_path):
    part = small.save(kind, tmp_path)
    assert image_side(load(part)) == small.SIDE
    assert image_side(load(part, 64)) == 64


def test_a_crop_keeps_its_share_of_the_image(tmp_path):
    processor = load(small.save("dinov2", tmp_path), 64)
    assert processor.size["shortest_edge"] == 72  # 64 * 36 / 32


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1"])
def test_every_kind_of_image_is_read_in_colour(mode):
    assert resized(raw_preprocessing(16), [picture(mode=mode)]).shape == (1, 3, 16, 16)


def test_raw_patches_see_the_whole_image_in_minus_one_to_one():
    processor = raw_preprocessing(16)
    batch = processor([Image.new("RGB", (40, 20), (255, 0, 0))], return_tensors="pt")
    assert batch["pixel_values"].shape == (1, 3, 16, 16)
    assert batch["pixel_values"][0, :, 0, 0].tolist() == [1.0, -1.0, -1.0]


@pytest.mark.parametrize(
    ("processor", "message"),
    [
        (CLIPImageProcessorPil(size={"shortest_edge": 32}, do_center_crop=False), "a square RGB"),
        (
            SiglipImageProcessorPil(size={"height": 32, "width": 32}, rescale_factor=1 / 127.5),
            "does more than resize",
        ),
    ],
)
def test_what_cannot_be_repeated_is_refused(processor, message, tmp_path):
    part = small.save("siglip", tmp_path)
    processor.save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match=rf"{message}.*Fix:"):
        load(part)


def test_a_model_without_preprocessing_is_refused(tmp_path):
    part = small.save("siglip", tmp_path)
    (tmp_path / "preprocessor_config.json").unlink()
    with pytest.raises(ConfigError, match=r"has no image preprocessing.*Fix: put a preproc"):
        load(part)


def test_pixels_that_are_not_normalised_stay(tmp_path):
    part = small.save("siglip", tmp_path)
    SiglipImageProcessorPil(size={"height": 32, "width": 32}, do_normalize=False).save_pretrained(
        tmp_path
    )
    assert normalisation(load(part)) == ([0.0] * 3, [1.0] * 3)


@pytest.mark.parametrize(("width", "height"), [(50, 40), (33, 77), (8, 7), (1, 4)])
def test_padding_centres_an_image_between_bars(width, height):
    image, side = picture(width, height), max(width, height)
    found = np.asarray(padded(image, (122, 116, 104)))
    expected = np.empty((side, side, 3), dtype=np.uint8)
    expected[:] = (122, 116, 104)
    left, top = (side - width) // 2, (side - height) // 2
    expected[top : top + height, left : left + width] = np.asarray(image)
    np.testing.assert_array_equal(found, expected)


def test_a_square_image_is_left_as_it_is():
    image = picture(40, 40)
    assert padded(image, (1, 2, 3)) is image
