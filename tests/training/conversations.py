"""Conversations with and without images, with one answer or several, of different lengths."""

import torch
from PIL import Image

from ablate.data.types import Conversation

TURN = "\n{question}\nanswer:"


class Squares:
    """Noise of different sizes; it counts what is decoded."""

    ids = tuple(f"square-{i}" for i in range(3))

    def __init__(self):
        self.decoded = []

    def images(self, indices):
        self.decoded.append(list(indices))
        return [self._square(index) for index in indices]

    def _square(self, index):
        side = 20 + 30 * index
        generator = torch.Generator().manual_seed(index)
        values = torch.randint(256, (side, side, 3), dtype=torch.uint8, generator=generator)
        return Image.fromarray(values.numpy())


CONVERSATIONS = (
    Conversation("one", 1, (("what shape is there?", "circle"),)),
    Conversation("text", None, (("what is it?", "a red star"),)),
    Conversation("two", 0, (("what colour is it?", "red"), ("is it small or big?", "big"))),
    Conversation("talk", None, (("hi", "two"), ("how many?", "three cats"), ("and?", "no"))),
    Conversation("same image", 1, (("describe.", "a red circle in the top left"),)),
)
