import numpy as np
import pytest
from PIL import Image

from ablate.config.errors import ConfigError
from ablate.data.decoding import read_rgb


def _picture():
    """Left half red, right half blue, wider than high."""
    picture = Image.new("RGB", (8, 4), "red")
    picture.paste("blue", (4, 0, 8, 4))
    return picture


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "CMYK"])
def test_colour_modes_become_rgb(tmp_path, mode):
    path = tmp_path / "picture.tiff"
    _picture().convert(mode).save(path)
    image = read_rgb(path, "picture")
    assert image.mode == "RGB"
    assert [image.getpixel((0, 0)), image.getpixel((7, 3))] == [(255, 0, 0), (0, 0, 255)]


def test_grey_keeps_its_brightness(tmp_path):
    Image.new("L", (4, 4), 77).save(tmp_path / "8.png")
    Image.fromarray(np.full((4, 4), 77 * 256, dtype=np.uint16)).save(tmp_path / "16.png")
    for name in ("8.png", "16.png"):
        assert read_rgb(tmp_path / name, name).getpixel((0, 0)) == (77, 77, 77)


def test_a_transparent_grey_of_16_bits_leaves_the_others(tmp_path):
    pixels = np.array([[77 * 256, 99 * 256]], dtype=np.uint16)
    Image.fromarray(pixels).save(tmp_path / "16.png", transparency=99 * 256)
    image = read_rgb(tmp_path / "16.png", "16")
    assert [image.getpixel((x, 0)) for x in (0, 1)] == [(77, 77, 77), (255, 255, 255)]


def test_pixels_of_no_known_range_are_refused(tmp_path):
    Image.fromarray(np.full((4, 4), 0.5, dtype=np.float32)).save(tmp_path / "1.tiff")
    with pytest.raises(ConfigError, match="whose range it does not say"):
        read_rgb(tmp_path / "1.tiff", "1")


def test_transparent_pixels_become_white(tmp_path):
    Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert read_rgb(tmp_path / "clear.png", "clear").getpixel((0, 0)) == (255, 255, 255)


def test_exif_rotation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    _picture().save(tmp_path / "rotated.jpg", exif=exif, quality=100)
    image = read_rgb(tmp_path / "rotated.jpg", "rotated")
    assert image.size == (4, 8)
    red, _, blue = image.getpixel((2, 0))
    assert red > 150 > blue


@pytest.mark.parametrize("content", [b"", b"just text", b"\x89PNG\r\n\x1a\n broken"])
def test_a_file_that_is_no_image_is_named(tmp_path, content):
    (tmp_path / "1.png").write_bytes(content)
    with pytest.raises(ConfigError, match=r"'coco/1.png' cannot be decoded"):
        read_rgb(tmp_path / "1.png", "coco/1.png")


def test_a_truncated_image_is_named(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "1.jpg")
    (tmp_path / "1.jpg").write_bytes((tmp_path / "1.jpg").read_bytes()[:1000])
    with pytest.raises(ConfigError, match=r"'1.jpg' cannot be decoded"):
        read_rgb(tmp_path / "1.jpg", "1.jpg")
