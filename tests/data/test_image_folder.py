import hashlib
import shutil

import numpy as np
import pytest
from PIL import Image, ImageColor

from ablate.config.errors import ConfigError
from ablate.config.schema import ImageFolderData
from ablate.recipes.data import load_data


def _config(path, **changes):
    values = {
        "kind": "imagefolder",
        "name": "pets",
        "path": str(path),
        "question": "What is shown?",
        "templates": ("a photo of a {}",),
        "scoring": "letters",
        "shots": 2,
        "sessions": 1,
        "test_items": None,
        "test_fraction": 0.5,
        "split_seed": 0,
        "class_names": {},
    }
    return ImageFolderData(**{**values, **changes})


def _fill(folder, n, colour="red", size=(6, 4)):
    """Write images of one colour, no two of equal content: a corner tells them apart."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(n):
        image = Image.new("RGB", size, colour)
        mark = hashlib.sha256(f"{folder}/{i}".encode()).digest()[:3]
        image.putpixel((size[0] - 1, size[1] - 1), tuple(mark))
        image.save(folder / f"{i}.png")


@pytest.fixture
def pets(tmp_path):
    root = tmp_path / "pets"
    _fill(root / "cat", 6)
    _fill(root / "guinea_pig", 4, "blue")
    return root


def test_class_folders_become_classes_and_parts(pets):
    data = load_data(_config(pets))
    assert data.class_names == ("cat", "guinea pig")
    assert sorted(data.train.labels) == [0, 0, 0, 1, 1]
    assert sorted(data.test.labels) == [0, 0, 0, 1, 1]
    assert {*data.train.ids} | {*data.test.ids} == {
        *(f"cat/{i}.png" for i in range(6)),
        *(f"guinea_pig/{i}.png" for i in range(4)),
    }
    for label, image in zip(data.test.labels, data.test.images(range(5)), strict=True):
        assert image.getpixel((0, 0)) == [(255, 0, 0), (0, 0, 255)][label]


def test_readable_names_can_be_given(pets):
    data = load_data(_config(pets, class_names={"guinea_pig": "cavy"}))
    assert data.class_names == ("cat", "cavy")


@pytest.mark.parametrize("test_part", ["test", "val", "validation"])
def test_parts_on_disk_are_kept(tmp_path, test_part):
    for name, n in [("cat", 3), ("dog", 2)]:
        _fill(tmp_path / "train" / name, n)
        _fill(tmp_path / test_part / name, 1)
    data = load_data(_config(tmp_path))
    assert data.train.labels == [0, 0, 0, 1, 1]
    assert data.test.ids == [f"{test_part}/cat/0.png", f"{test_part}/dog/0.png"]


def test_a_train_part_alone_is_split(tmp_path):
    _fill(tmp_path / "train" / "cat", 4)
    _fill(tmp_path / "train" / "dog", 4)
    data = load_data(_config(tmp_path))
    assert (len(data.train.labels), len(data.test.labels)) == (4, 4)


def test_names_that_look_like_parts_are_classes_and_images(tmp_path):
    for name in ("bus", "train", "test"):
        _fill(tmp_path / name, 4)
    (tmp_path / "bus" / "0.png").rename(tmp_path / "bus" / "test_[1].png")
    data = load_data(_config(tmp_path))
    assert data.class_names == ("bus", "test", "train")
    assert len(data.train.labels) + len(data.test.labels) == 12


def test_hidden_files_are_ignored(pets):
    for path in (pets / ".DS_Store", pets / "cat" / ".DS_Store", pets / "cat" / "Thumbs.db"):
        path.write_bytes(b"0")
    assert len(load_data(_config(pets)).train.labels) == 5


def test_the_fingerprint_follows_content_and_not_place(pets, tmp_path):
    first = load_data(_config(pets)).fingerprint
    moved = shutil.copytree(pets, tmp_path / "elsewhere")
    assert load_data(_config(moved)).fingerprint == first
    assert load_data(_config(pets, split_seed=1)).fingerprint != first
    assert load_data(_config(pets, class_names={"cat": "kitten"})).fingerprint != first
    # One pixel, in a format whose size is that of the picture: names and sizes stay.
    file = pets / "cat" / "0.bmp"
    fingerprints = []
    for colour in ("red", "blue"):
        picture = Image.new("RGB", (6, 4), "green")
        picture.putpixel((0, 0), ImageColor.getrgb(colour))
        picture.save(file)
        fingerprints.append(load_data(_config(pets)).fingerprint)
    assert len({first, *fingerprints}) == 3


def test_a_changed_file_is_seen_at_once(pets):
    load_data(_config(pets)).train.images([0])
    _fill(pets / "cat", 6, "green")
    data = load_data(_config(pets))
    assert data.train.images([0])[0].getpixel((0, 0)) == (0, 128, 0)


def _first_image(path, tmp_path):
    """Load the one image at `path` beside a second class."""
    root = tmp_path / "data"
    for name in ("a", "b"):
        _fill(root / "train" / name, 1)
        _fill(root / "test" / name, 1)
    (root / "train" / "a" / "0.png").unlink()
    shutil.copy(path, root / "train" / "a" / path.name)
    data = load_data(_config(root, shots=1))
    return data.train.images([0])[0]


def _picture():
    """Left half red, right half blue, wider than high."""
    picture = Image.new("RGB", (8, 4), "red")
    picture.paste("blue", (4, 0, 8, 4))
    return picture


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "CMYK"])
def test_colour_modes_become_rgb(tmp_path, mode):
    path = tmp_path / ("picture.tiff" if mode == "CMYK" else "picture.png")
    _picture().convert(mode).save(path)
    image = _first_image(path, tmp_path)
    assert image.mode == "RGB"
    assert [image.getpixel((0, 0)), image.getpixel((7, 3))] == [(255, 0, 0), (0, 0, 255)]


def test_grey_becomes_rgb(tmp_path):
    Image.new("L", (4, 4), 77).save(tmp_path / "grey.png")
    assert _first_image(tmp_path / "grey.png", tmp_path).getpixel((0, 0)) == (77, 77, 77)


def test_sixteen_bit_grey_keeps_its_brightness(tmp_path):
    Image.fromarray(np.full((4, 4), 77 * 256, dtype=np.uint16)).save(tmp_path / "grey.png")
    assert _first_image(tmp_path / "grey.png", tmp_path).getpixel((0, 0)) == (77, 77, 77)


def test_transparent_pixels_become_white(tmp_path):
    Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert _first_image(tmp_path / "clear.png", tmp_path).getpixel((0, 0)) == (255, 255, 255)


def test_a_palette_with_transparency_becomes_white_there(tmp_path):
    palette = _picture().quantize(4)
    clear = palette.getpixel((0, 0))
    palette.save(
        tmp_path / "palette.png", transparency=bytes([0 if i == clear else 255 for i in range(4)])
    )
    image = _first_image(tmp_path / "palette.png", tmp_path)
    assert [image.getpixel((0, 0)), image.getpixel((7, 3))] == [(255, 255, 255), (0, 0, 255)]


def test_exif_rotation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    _picture().save(tmp_path / "rotated.jpg", exif=exif, quality=100)
    image = _first_image(tmp_path / "rotated.jpg", tmp_path)
    assert image.size == (4, 8)
    red, _, blue = image.getpixel((2, 0))
    assert red > 150 > blue


def _refused(config):
    with pytest.raises(ConfigError) as caught:
        load_data(config)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_missing_folder_is_refused(tmp_path):
    assert "does not exist" in _refused(_config(tmp_path / "nowhere"))
    (tmp_path / "file").write_text("")
    assert "is a file, not a folder" in _refused(_config(tmp_path / "file"))


def test_one_class_or_none_is_refused(tmp_path):
    assert "holds 0 class folder(s); at least 2" in _refused(_config(tmp_path))
    _fill(tmp_path / "cat", 4)
    assert "holds 1 class folder(s) (cat); at least 2" in _refused(_config(tmp_path))


def test_fewer_images_than_shots_are_refused_with_the_class_named(pets):
    message = _refused(_config(pets, shots=3))
    assert "data.shots=3, but class 'guinea pig' has only 2 training images" in message
    assert "Lower data.shots to at most 2" in message


def test_a_class_that_cannot_be_split_is_refused(pets):
    _fill(pets / "dog", 1)
    assert "Class folder 'dog' holds 1 image;" in _refused(_config(pets))


def test_an_empty_class_is_refused(pets):
    (pets / "dog").mkdir()
    assert "Class folder 'dog' holds 0 images;" in _refused(_config(pets))


def test_an_empty_test_part_is_refused(tmp_path):
    for name in ("cat", "dog"):
        _fill(tmp_path / "train" / name, 2)
        (tmp_path / "test" / name).mkdir(parents=True)
    assert "'test' in" in _refused(_config(tmp_path))


def test_a_class_only_in_the_test_part_is_refused(tmp_path):
    for name in ("cat", "dog"):
        _fill(tmp_path / "train" / name, 2)
        _fill(tmp_path / "test" / name, 1)
    _fill(tmp_path / "test" / "eel", 1)
    message = _refused(_config(tmp_path))
    assert "'eel' has images in 'test' but none in 'train'" in message
    assert "Add images to 'train/eel', or remove 'test/eel'." in message


def test_a_class_only_in_the_training_part_is_refused(tmp_path):
    for name in ("cat", "dog", "eel"):
        _fill(tmp_path / "train" / name, 2)
        _fill(tmp_path / "val" / name, name != "eel")
    message = _refused(_config(tmp_path))
    assert "'eel' has images in 'train' but none in 'val'" in message


@pytest.mark.parametrize("content", [b"", b"just text", b"\x89PNG\r\n\x1a\n broken"])
@pytest.mark.parametrize("name", ["notes.txt", "broken.png"])
def test_a_file_that_is_no_image_is_named(pets, name, content):
    (pets / "cat" / name).write_bytes(content)
    assert f"cat/{name}' cannot be decoded (" in _refused(_config(pets))


def test_a_file_outside_the_class_folders_is_named(pets):
    (pets / "README.md").write_text("hello")
    assert "'README.md' in" in _refused(_config(pets))


def test_what_stands_beside_the_parts_is_named(tmp_path):
    _fill(tmp_path / "train" / "cat", 2)
    _fill(tmp_path / "dog", 2)
    assert "'dog' in" in _refused(_config(tmp_path))


def test_a_folder_inside_a_class_folder_is_named(pets):
    (pets / "cat" / "young").mkdir()
    assert "'cat/young' in" in _refused(_config(pets))


def test_copies_stand_on_one_side_of_our_own_split(tmp_path):
    _fill(tmp_path / "cat", 6)
    _fill(tmp_path / "dog", 6)
    plain = load_data(_config(tmp_path))
    for i in range(6):
        shutil.copy(tmp_path / "cat" / f"{i}.png", tmp_path / "cat" / f"copy{i}.png")
    # The same file in another class, too.
    shutil.copy(tmp_path / "cat" / "0.png", tmp_path / "dog" / "cat0.png")
    data = load_data(_config(tmp_path))
    sides = [set(source.ids) for source in (data.train, data.test)]
    assert [set(plain.train.ids) < sides[0], set(plain.test.ids) < sides[1]] == [True, True]
    assert sum(map(len, sides)) == 19
    for i in range(6):
        assert any({f"cat/{i}.png", f"cat/copy{i}.png"} <= side for side in sides)
    assert any({"cat/0.png", "dog/cat0.png"} <= side for side in sides)


def test_copies_alone_cannot_be_split(tmp_path):
    _fill(tmp_path / "cat", 3)
    _fill(tmp_path / "dog", 1)
    shutil.copy(tmp_path / "dog" / "0.png", tmp_path / "dog" / "1.png")
    message = _refused(_config(tmp_path, shots=1))
    assert "'dog' holds 1 image besides 1 with a content that was there before" in message


def test_unknown_and_equal_class_names_are_refused(pets):
    message = _refused(_config(pets, class_names={"guinea-pig": "cavy"}))
    assert "Did you mean 'guinea_pig'?" in message
    message = _refused(_config(pets, class_names={"guinea_pig": "cat"}))
    assert "'cat' and 'guinea_pig' are both called 'cat'" in message
