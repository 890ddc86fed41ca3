"""What items are known by, wherever and however they are kept: their picture and what is asked about it."""

import hashlib
from collections.abc import Callable, Iterator, Sequence

from PIL import Image

from ablate.data.types import ImageClassification, ImageQuestions

_AT_A_TIME = 64


def part_contents(data: ImageClassification, rows: Sequence[int], is_test: bool) -> Iterator[bytes]:
    """Yield what items of a data set are known by.

    Of images with a class that is the picture alone: another question about their class makes no other item.

    Args:
        data: The data set.
        rows: The items, by position in its training or test part.
        is_test: Which part.
    """
    if isinstance(data, ImageQuestions):
        source = data.test if is_test else data.train
        return contents(source.images, rows, source.asked)
    return contents((data.test if is_test else data.train).images, rows, None)


def contents(
    images: Callable[[Sequence[int]], list[Image.Image]],
    rows: Sequence[int],
    asked: Callable[[Sequence[int]], Sequence[str]] | None,
) -> Iterator[bytes]:
    """Decode images, a few at a time, and yield a hash of each and of what is asked about it.

    Args:
        images: Decodes the images of some rows as RGB.
        rows: The rows.
        asked: Returns the question about each of some rows; None where the picture alone counts.

    Yields:
        SHA-256: equal for equal pixels, in whatever lossless encoding, and questions equal but for case and spaces.
    """
    for start in range(0, len(rows), _AT_A_TIME):
        chunk = rows[start : start + _AT_A_TIME]
        questions = [""] * len(chunk) if asked is None else asked(chunk)
        for image, question in zip(images(chunk), questions, strict=True):
            known = hashlib.sha256(
                repr((image.size, " ".join(question.casefold().split()))).encode()
            )
            known.update(image.tobytes())
            yield known.digest()
