"""Small data sets in the forms that the hub has them in, made of pictures that no two rows share."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, DatasetDict, Features
from datasets import Image as ImageFeature
from PIL import Image

from ablate.data.tables.read import no_bars

Rows = list[dict[str, Any]]


def picture(name: str, size: tuple[int, int] = (8, 6)) -> Image.Image:
    """A picture of noise, always the same for one name."""
    random = np.random.default_rng(list(name.encode()))
    return Image.fromarray(random.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))


def cell(image: Image.Image) -> dict[str, Any]:
    """The cell of an image column."""
    content = BytesIO()
    image.save(content, "PNG")
    return {"bytes": content.getvalue(), "path": None}


def labelled(part: str, labels: Sequence[Any]) -> Rows:
    """Rows of images with these labels."""
    return [
        {"id": f"{part}-{row}", "image": cell(picture(f"{part}-{row}")), "label": label}
        for row, label in enumerate(labels)
    ]


def write_hub(folder: Path, parts: dict[str, Rows], features: Features | None = None) -> str:
    """Write a repository of parquet files, as the hub's have them."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    for part, rows in parts.items():
        table = _table(rows, features)
        with no_bars():
            table.to_parquet(str(folder / "data" / f"{part}-00000-of-00001.parquet"))
    return str(folder)


def write_saved(folder: Path, parts: dict[str, Rows], features: Features | None = None) -> str:
    """Write what `save_to_disk` writes."""
    with no_bars():
        DatasetDict({part: _table(rows, features) for part, rows in parts.items()}).save_to_disk(
            folder
        )
    return str(folder)


def _table(rows: Rows, features: Features | None) -> Dataset:
    table = Dataset.from_list(rows, features=features)
    for column in table.column_names:
        kind = table.features[column]
        if features is None and isinstance(kind, dict) and {"bytes", "path"} <= set(kind):
            table = table.cast_column(column, ImageFeature())
    return table
