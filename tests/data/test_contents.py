"""Items are the same if their pictures are, and what is asked about them."""

from PIL import Image
from tests.data.hub_sets import picture

from ablate.data.contents import Contents, contents, shared


class Decoder:
    """Pictures by name, and which of them were decoded."""

    def __init__(self, *names: str) -> None:
        self.names, self.decoded = names, list[str]()

    def __call__(self, places) -> list[Image.Image]:
        self.decoded += [self.names[place] for place in places]
        return [picture(self.names[place]) for place in places]


def questions(*items: tuple[str, str]) -> tuple[Contents, Decoder]:
    decoder = Decoder(*(name for name, _ in items))
    return contents(decoder, [asked for _, asked in items]), decoder


def classes(asked: str, *names: str) -> Contents:
    return Contents([asked] * len(names), True, Decoder(*names))


def test_questions_are_the_same_by_picture_and_words():
    trained, _ = questions(("cat", "Is it  big?"), ("dog", "is it red?"), ("eel", "is it big?"))
    tested, _ = questions(("dog", "is it big?"), ("cat", "is it BIG?"), ("eel", "is it wet?"))
    assert shared(trained, tested) == [(0, 1)]


def test_only_what_is_asked_alike_is_decoded_and_that_once():
    trained, own = questions(("cat", "is it big?"), ("dog", "is it red?"))
    tested, others = questions(("eel", "is it wet?"), ("fox", "is it big?"))
    assert shared(trained, tested) == shared(trained, tested) == []
    assert (own.decoded, others.decoded) == (["cat"], ["fox"])


def test_of_classes_the_picture_counts_whatever_is_asked():
    trained, tested = classes("which animal?", "cat", "dog"), classes("what is this?", "dog", "eel")
    assert shared(trained, tested) == [(1, 0)]


def test_a_question_about_the_class_of_a_picture_is_its_classification():
    asked, _ = questions(("dog", "Which animal?"), ("cat", "which colour?"))
    trained = classes("which animal?", "cat", "dog")
    assert shared(trained, asked) == [(1, 0)]
    assert shared(asked, trained) == [(0, 1)]
