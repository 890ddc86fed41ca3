"""Images are decoded while the model is at the batch before."""

import threading

import pytest
import torch

from ablate.data.types import MultipleChoiceItem
from ablate.evaluation.verbs.multiple_choice import answer_items
from ablate.evaluation.verbs.pixels import Ahead


class Reader:
    """Reads random images, and notes by which thread."""

    def __init__(self):
        generator = torch.Generator().manual_seed(1)
        self.pixels = torch.randint(0, 256, (9, 3, 16, 16), dtype=torch.uint8, generator=generator)
        self.reads = []

    def __call__(self, rows):
        self.reads.append((list(rows), threading.current_thread().name.startswith("ahead")))
        return self.pixels[rows]


def test_every_image_of_an_evaluation_is_read_once_and_ahead(tiny_random_vlm):
    """Text between images, images of several questions, and an image that comes again after another batch."""
    images = [0, 0, 1, None, 2, 3, None, None, 3, 4, 5, 0]
    items = [MultipleChoiceItem(str(k), i, "what?", ("a", "b"), 0) for k, i in enumerate(images)]
    reader = Reader()
    together, alone = {}, {}
    answer_items(tiny_random_vlm, reader, items, "answers", 2, 1, together.update)
    for index, item in enumerate(items):
        answer_items(
            tiny_random_vlm,
            Reader(),
            [item],
            "answers",
            1,
            1,
            lambda found, index=index: alone.update({index: found[0]}),
        )
    assert all(together[index].prediction == alone[index].prediction for index in alone)
    assert all(ahead for _, ahead in reader.reads)
    read = [row for rows, _ in reader.reads for row in rows]
    assert sorted(read) == [0, 1, 2, 3, 4, 5]


def test_one_is_loaded_while_another_is_in_use():
    began = {number: threading.Event() for number in range(3)}

    def load(number):
        began[number].set()
        return number * 10

    with Ahead(load, [0, 1, 2]) as ahead:
        assert ahead(0) == 0
        assert began[1].wait(10)
        assert not began[2].is_set()
        assert ahead(7 - 5) == 20  # not planned next: loaded at once
        assert ahead(1) == 10
        assert ahead(2) == 20


def test_what_cannot_be_loaded_is_an_error_where_it_is_needed():
    def load(number):
        if number:
            raise OSError("no such image")
        return number

    with Ahead(load, [0, 1]) as ahead:
        assert ahead(0) == 0
        with pytest.raises(OSError, match="no such image"):
            ahead(1)
