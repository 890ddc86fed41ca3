"""scikit-learn's 1,797 scans of handwritten digits, 8 x 8 pixels (Alpaydin and Kaynak, 1998)."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ablate.config.errors import ConfigError
from ablate.config.schema import DigitsData
from ablate.data.few_shot import stratified_split
from ablate.data.types import ImageClassification

_BRIGHTEST = 16


@dataclass(frozen=True)
class _Scans:
    """One split: grey levels 0..255, uint8 `[n, 8, 8]`, dark ink on white."""

    grey: NDArray[np.uint8]
    labels: Sequence[int]
    ids: Sequence[str]

    def images(self, indices: Sequence[int]) -> list[Image.Image]:
        return [Image.fromarray(self.grey[index]).convert("RGB") for index in indices]


CLASS_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def load_digits(config: DigitsData) -> ImageClassification:
    """Load the scans and hold out a share of every digit.

    Raises:
        ConfigError: If scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits as load_scans
    except ImportError as error:
        raise ConfigError(
            "data=digits reads its scans from scikit-learn, which is not installed."
            " Run: pip install 'ablate-vlm[digits]'"
        ) from error
    scans = load_scans()
    # The scans are ink on 0; paper is light.
    ink = scans.images / _BRIGHTEST
    grey = np.round(255 * (1 - ink)).astype(np.uint8)
    labels = [int(label) for label in scans.target]
    parts = stratified_split(labels, config.test_fraction, config.split_seed)
    train, test = (
        _Scans(grey[part], [labels[i] for i in part], [f"digit-{i:04d}" for i in part])
        for part in parts
    )
    content = hashlib.sha256(grey.tobytes() + bytes(labels) + repr(parts).encode())
    return ImageClassification(
        name=config.name,
        class_names=CLASS_NAMES,
        question=config.question,
        templates=config.templates,
        train=train,
        test=test,
        fingerprint=content.hexdigest(),
    )
