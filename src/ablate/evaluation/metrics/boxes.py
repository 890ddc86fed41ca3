"""Boxes around things: read from text, and compared."""

import re

# Left, top, right, bottom.
Box = tuple[float, float, float, float]

_NUMBER = r"(-?(?:\d+\.?\d*|\.\d+))"
_FOUR_NUMBERS = re.compile(r"[\s,]+".join([_NUMBER] * 4))


def box_in(text: str) -> Box | None:
    """Return the first four numbers in a row with only spaces and commas between them.

    Returns:
        Left, top, right, bottom; None when there are none, or right and bottom do not lie beyond
        left and top.
    """
    found = _FOUR_NUMBERS.search(text)
    if found is None:
        return None
    left, top, right, bottom = map(float, found.groups())
    return (left, top, right, bottom) if left < right and top < bottom else None


def intersection_over_union(one: Box, other: Box) -> float:
    """Return the area that two boxes share over the area that they cover, 0..1."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(width, 0.0) * max(height, 0.0)
    covered = _area(one) + _area(other) - shared
    return shared / covered if covered > 0 else 0.0


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
