"""Images at a model's resolution, decoded when a batch needs them."""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, Self, TypeVar

import torch
from PIL import Image
from torch import Tensor

from ablate.models.vlm import VisionLanguageModel

# Reads rows of a task's images: uint8 `[n, 3, height, width]`.
ReadPixels = Callable[[Sequence[int]], Tensor]
_HELD_BYTES = 1 << 30

Key = TypeVar("Key")
Value = TypeVar("Value")


class Ahead(Generic[Key, Value]):
    """Loads what will be asked for next in a thread of its own, while the model is at what was asked for last.

    Decoding the images of 32 questions takes a processor a third of a second, which a GPU would otherwise wait for.
    """

    def __init__(self, load: Callable[[Key], Value], planned: Sequence[Key]) -> None:
        """Plan to load by `load`, one after the other; whatever else is asked for is loaded then."""
        self._load, self._planned = load, deque(planned)
        self._next: Future[Value] | None = None

    def __enter__(self) -> Self:
        """Begin with the first."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ahead")
        self._begin()
        return self

    def __exit__(self, *_: object) -> None:
        """Finish what is being loaded, and give it up."""
        self._thread.shutdown(cancel_futures=True)

    def __call__(self, key: Key) -> Value:
        """Return what belongs to a key, and begin with the next."""
        if self._next is None or key != self._planned[0]:
            return self._load(key)
        value = self._next.result()
        self._planned.popleft()
        self._begin()
        return value

    def _begin(self) -> None:
        self._next = self._thread.submit(self._load, self._planned[0]) if self._planned else None


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
