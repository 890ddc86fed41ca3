"""Images of items are found by the run's configuration, and only where they may be."""

import base64
from io import BytesIO

import numpy as np
import pytest
import yaml
from PIL import Image

from ablate.report.html.thumbnails import Thumbnails
from ablate.world.source import ShapesSource

COMMON = {
    "question": "what?",
    "templates": ["a {}."],
    "scoring": "answers",
    "shots": 5,
    "sessions": 1,
    "test_items": None,
}
SHAPES = {**COMMON, "name": "barred", "kind": "shapes", "style": "barred", "draw": "test"}
TASK = {
    "source": "shapes",
    "kind": "vision",
    "metric": "accuracy",
    "chance": 0.2,
    "items": 4,
    "question": "shape",
    "style": "filled",
    "objects": [1],
    "draw": "test",
    "scoring": "answers",
}


def config(folder, **content):
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump(content))
    return Thumbnails(file)


def pixels(url):
    assert url.startswith("data:image/png;base64,")
    return np.asarray(Image.open(BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGB"))


def test_scenes_are_drawn_again_pixel_by_pixel(tmp_path):
    thumbnails = config(
        tmp_path, data=SHAPES, controls={"source": {**SHAPES, "name": "filled", "style": "filled"}}
    )
    for style in ("barred", "filled"):
        (expected,) = ShapesSource(style, "test").images([7])
        found = pixels(thumbnails.of(style, f"{style}-test-7"))
        np.testing.assert_array_equal(found, np.asarray(expected))
    assert thumbnails.of("barred", "barred-test-99999") is None
    assert thumbnails.of("unknown", "barred-test-7") is None


def test_scenes_of_a_suite_have_images(tmp_path):
    thumbnails = config(tmp_path, tasks={"tasks": {"shape": TASK, "words": {"source": "words"}}})
    assert pixels(thumbnails.of("shape", "shape-filled-test-3")).shape == (32, 32, 3)
    assert thumbnails.of("shape", "shape-filled-test-4") is None
    assert thumbnails.of("words", "recall-test-1") is None


def test_images_of_a_folder_are_read_from_below_it_alone(tmp_path):
    (tmp_path / "data" / "cat").mkdir(parents=True)
    Image.new("RGB", (400, 200), "red").save(tmp_path / "data" / "cat" / "one.png")
    Image.new("RGB", (8, 8), "blue").save(tmp_path / "secret.png")
    (tmp_path / "data" / "cat" / "link.png").symlink_to(tmp_path / "secret.png")
    (tmp_path / "data" / "cat" / "broken.png").write_bytes(b"no image")
    data = {
        **COMMON,
        "name": "cats",
        "kind": "imagefolder",
        "path": str(tmp_path / "data"),
        "test_fraction": 0.2,
        "split_seed": 0,
        "class_names": {},
    }
    thumbnails = config(tmp_path, data=data)
    assert pixels(thumbnails.of("cats", "cat/one.png")).shape == (56, 112, 3)
    for name in (
        "../secret.png",
        str(tmp_path / "secret.png"),
        "cat/link.png",
        "cat/broken.png",
        "cat/no.png",
        "\0",
    ):
        assert thumbnails.of("cats", name) is None
    moved = config(tmp_path, data={**data, "path": str(tmp_path / "gone")})
    assert moved.of("cats", "cat/one.png") is None


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{",
        "data: 1",
        "data: {name: barred, kind: shapes}",
        "data: !!python/object:x {}",
        "tasks: {tasks: [1]}",
    ],
)
def test_a_configuration_of_another_kind_has_no_images(tmp_path, content):
    (tmp_path / "config.yaml").write_text(content)
    assert Thumbnails(tmp_path / "config.yaml").of("barred", "barred-test-7") is None


def test_a_run_without_a_configuration_has_no_images(tmp_path):
    assert Thumbnails(tmp_path / "config.yaml").of("barred", "barred-test-7") is None
