"""What items are known by, wherever and however they are kept: their picture and what is asked about it."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from PIL import Image

from ablate.data.types import ImageClassification, ImageQuestions

_AT_A_TIME = 64


@dataclass(frozen=True)
class Contents:
    """Some items. A picture is decoded when it is first asked for, and its hash is kept.

    Attributes:
        asked: What is asked about each, but for case and spaces.
        of_class: Whether that is its class: another question about a class makes no other item.
    """

    asked: Sequence[str]
    of_class: bool
    _images: Callable[[Sequence[int]], list[Image.Image]]
    _known: dict[int, bytes] = field(default_factory=dict)

    def pictures(self, places: Sequence[int]) -> Iterator[bytes]:
        """Yield a hash of the picture of some items: SHA-256, equal for equal pixels in whatever lossless encoding."""
        missing = [place for place in places if place not in self._known]
        for start in range(0, len(missing), _AT_A_TIME):
            chunk = missing[start : start + _AT_A_TIME]
            for place, image in zip(chunk, self._images(chunk), strict=True):
                known = hashlib.sha256(repr(image.size).encode())
                known.update(image.tobytes())
                self._known[place] = known.digest()
        return (self._known[place] for place in places)


def contents(
    images: Callable[[Sequence[int]], list[Image.Image]], asked: Sequence[str]
) -> Contents:
    """Take items with a question each.

    Args:
        images: Decodes the images of some items as RGB.
        asked: What is asked about each.
    """
    return Contents([_folded(question) for question in asked], False, images)


def part_contents(data: ImageClassification, rows: Sequence[int], is_test: bool) -> Contents:
    """Take items of a data set.

    Args:
        data: The data set.
        rows: The items, by position in its training or test part.
        is_test: Which part.
    """
    part = data.test if is_test else data.train

    def images(places: Sequence[int]) -> list[Image.Image]:
        return part.images([rows[place] for place in places])

    if isinstance(data, ImageQuestions):
        questions = data.test if is_test else data.train
        return contents(images, questions.asked(rows))
    return Contents([_folded(data.question)] * len(rows), True, images)


def shared(trained: Contents, evaluated: Contents) -> list[tuple[int, int]]:
    """Find items that are the same: their pictures are, and what is asked about them or that it is their class.

    Only what is asked alike is decoded.

    Returns:
        For each item of `trained` that is one of `evaluated`, its place and the other's.
    """
    by_class = trained.of_class and evaluated.of_class
    wanted = set(trained.asked)
    others = [p for p, asked in enumerate(evaluated.asked) if by_class or asked in wanted]
    wanted = {evaluated.asked[place] for place in others}
    own = [p for p, asked in enumerate(trained.asked) if by_class or asked in wanted]

    def known(items: Contents, places: Sequence[int]) -> Iterator[tuple[bytes, str]]:
        for place, picture in zip(places, items.pictures(places), strict=True):
            yield picture, "" if by_class else items.asked[place]

    place_of = dict(zip(known(evaluated, others), others, strict=True))
    return [
        (place, place_of[item])
        for place, item in zip(own, known(trained, own), strict=True)
        if item in place_of
    ]


def _folded(question: str) -> str:
    return " ".join(question.casefold().split())
