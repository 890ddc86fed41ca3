"""Images at a model's resolution, decoded when a batch needs them."""

from collections.abc import Callable, Sequence

import torch
from PIL import Image
from torch import Tensor

from ablate.models.vlm import VisionLanguageModel

# Reads rows of a task's images: uint8 `[n, 3, height, width]`.
ReadPixels = Callable[[Sequence[int]], Tensor]
_HELD_BYTES = 1 << 30


class Pixels:
    """The images of one task: a batch is decoded at a time, and a small set is kept for the next evaluation.

    A hundred evaluations of 768 images decode them once; of 50,000 images at 336 pixels (17 GB) the first 3,000
    are kept.
    """

    def __init__(self, read: Callable[[Sequence[int]], list[Image.Image]]) -> None:
        """Take images from `read`, which decodes the images of some rows as RGB."""
        self._read = read
        self._held: dict[int, Tensor] = {}
        self._held_bytes = 0
        self._preprocessing = ""

    def reader(self, vlm: VisionLanguageModel) -> ReadPixels:
        """Return what reads rows as a model's preprocessing wants them."""
        preprocessing = vlm.preprocessing
        if preprocessing != self._preprocessing:
            self._held, self._held_bytes, self._preprocessing = {}, 0, preprocessing

        def read(rows: Sequence[int]) -> Tensor:
            missing = [row for row in dict.fromkeys(rows) if row not in self._held]
            found = (
                dict(zip(missing, vlm.resize(self._read(missing)), strict=True)) if missing else {}
            )
            for row, pixels in found.items():
                if self._held_bytes + pixels.nbytes <= _HELD_BYTES:
                    # Its own memory: a view would keep the whole batch.
                    self._held[row] = pixels.clone()
                    self._held_bytes += pixels.nbytes
            return torch.stack([found[row] if row in found else self._held[row] for row in rows])

        return read
