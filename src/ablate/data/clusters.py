"""Which items are not independent: those of one group of rows, and those about one image."""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

_CHARACTERS = 16


def image_cluster(image: bytes) -> str:
    """Name the cluster of items about one image, from what the image is known by."""
    return image.hex()[:_CHARACTERS]


def clusters_of(groups: Sequence[int], images: Sequence[bytes], group_rows: int) -> list[str]:
    """Name the cluster of every item: items that share a group or an image, directly or through others.

    Args:
        groups: Number of each item's group of consecutive rows.
        images: What the image of each is known by.
        group_rows: Rows of a group.

    Returns:
        One name for each item: of its image, or, where rows are in groups, of the first group of its cluster.
    """
    if group_rows == 1:
        return [image_cluster(image) for image in images]
    _, of_group = np.unique(groups, return_inverse=True)
    place = {image: number for number, image in enumerate(dict.fromkeys(images))}
    n_groups, of_image = int(of_group.max(initial=-1)) + 1, [place[image] for image in images]
    size = n_groups + len(place)
    edges = coo_array(
        (np.ones(len(groups)), (of_group, n_groups + np.array(of_image, dtype=int))), (size, size)
    )
    _, parts = connected_components(edges, directed=False)
    first: dict[int, int] = {}
    for part, group in zip(parts[of_group].tolist(), groups, strict=True):
        first[part] = min(group, first.get(part, group))
    starts = (first[part] * group_rows for part in parts[of_group].tolist())
    return [f"rows {start} to {start + group_rows - 1}" for start in starts]
