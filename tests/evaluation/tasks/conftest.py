"""The shipped model, pictures it knows, and a cache that leaves no traces."""

import io

import datasets
import numpy as np
import pytest
from PIL import Image
from tests.models.encoders import small

from ablate.config.schema import ModelConfig
from ablate.models.compute import choose_compute
from ablate.models.loading import load_model
from ablate.world.rendering import render
from ablate.world.scenes import SHAPES, SIZES, sample_scenes


@pytest.fixture(scope="session")
def shipped():
    config = ModelConfig(
        name="tiny",
        llava="tiny:llava",
        clip="tiny:clip",
        language=None,
        **small.AS_IS,
        scoring="answers",
        prompt="<image>\n{question}\nanswer:",
        turn="\n{question}\nanswer:",
    )
    return load_model(config, choose_compute("cpu", "fp32"))


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


class Pictures:
    """Scenes with one object each, what they show, and the questions that the shipped model is evaluated on."""

    question = "what shape is there?"
    size_question = "is it small or big?"

    def __init__(self, n: int) -> None:
        indices = np.arange(n)
        scenes = sample_scenes("pictures", indices, np.ones_like(indices))
        places = [scenes.objects(scene)[0] for scene in range(n)]
        self.shapes = [SHAPES[scenes.shape[s, p]] for s, p in enumerate(places)]
        self.sizes = [SIZES[scenes.size[s, p]] for s, p in enumerate(places)]
        self.images = [Image.fromarray(pixels) for pixels in render(scenes, "filled")]

    def png(self, index: int) -> dict[str, object]:
        """The cell of an image column of a parquet file."""
        content = io.BytesIO()
        self.images[index].save(content, format="PNG")
        return {"bytes": content.getvalue(), "path": None}


@pytest.fixture(scope="session")
def pictures():
    return Pictures(24)
