import torch

from ablate.data.multiple_choice import letters_question, multiple_choice_items
from ablate.data.types import LabelledImages

NAMES = [f"class {i}" for i in range(12)]


def _images(rows):
    return LabelledImages(
        pixels=torch.zeros(len(rows), 3, 1, 1, dtype=torch.uint8),
        labels=torch.tensor([row % 12 for row in rows]),
        ids=tuple(f"image-{row}" for row in rows),
    )


def items_of(images, names, question, n_options, seed):
    labels = images.labels.tolist()
    return multiple_choice_items(images.ids, labels, names, question, n_options, seed)


def test_options_are_different_and_hold_the_answer():
    for row, item in enumerate(items_of(_images(range(60)), NAMES, "what?", 5, 0)):
        assert item.image == row
        assert len(set(item.options)) == len(item.options) == 5
        assert item.options[item.answer] == NAMES[row % 12]


def test_the_answer_stands_at_every_place():
    items = items_of(_images(range(100)), NAMES, "what?", 5, 0)
    places = [item.answer for item in items]
    assert min(places.count(place) for place in range(5)) >= 10


def test_options_depend_on_seed_and_id_alone():
    whole = {i.id: i.options for i in items_of(_images(range(60)), NAMES, "?", 5, 0)}
    part = items_of(_images([50, 7, 31]), NAMES, "?", 5, 0)
    assert all(item.options == whole[item.id] for item in part)
    other = items_of(_images(range(60)), NAMES, "?", 5, 1)
    assert any(item.options != whole[item.id] for item in other)


def test_fewer_classes_than_options_give_all_classes():
    item, *_ = items_of(_images([0, 1, 2]), NAMES[:3], "?", 5, 0)
    assert sorted(item.options) == NAMES[:3]


def test_letters_question_is_the_prompt_of_the_paper():
    assert letters_question("What is it?", ["cat", "dog", "eel", "fox", "gnu"]) == (
        "What is it?\nA. cat\nB. dog\nC. eel\nD. fox\nE. gnu\n"
        "Answer with the option's letter from the given choices directly."
    )
