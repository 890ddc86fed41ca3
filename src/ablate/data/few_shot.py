"""Which images are held out, which are trained on, and in which session; and their decoding."""

import random
from collections import defaultdict
from collections.abc import Callable, Sequence

import torch
from PIL import Image
from torch import Tensor

from ablate.config.errors import ConfigError, unknown
from ablate.config.schema import SessionClasses, ShotsPer
from ablate.data.types import Groups, ImageSource, LabelledImages

_IMAGES_PER_CHUNK = 256


def few_shot_indices(
    labels: Sequence[int], shots: int, seed: int, classes: Sequence[int] | None = None
) -> list[int]:
    """Draw `shots` images of every class.

    Every class is drawn on its own, and a smaller draw with the same seed is part of a larger
    one: 5 shots are among the 20.

    Args:
        labels: Class index of every image.
        shots: Images per class.
        seed: Seed of the draw.
        classes: Which classes; None for all.

    Returns:
        Positions in `labels`, class by class.

    Raises:
        ConfigError: If a class has too few images.
    """
    members = _by_class(labels)
    wanted = sorted(members if classes is None else classes)
    check_shots(labels, shots, {label: str(label) for label in wanted})
    drawn = []
    for label in wanted:
        drawn += _shuffled(members[label], f"shots/{seed}/{label}")[:shots]
    return drawn


def check_shots(labels: Sequence[int], shots: int, class_names: dict[int, str]) -> None:
    """Raise a ConfigError that names the class with the fewest images if it has too few."""
    members = _by_class(labels)
    fewest = min(class_names, key=lambda label: (len(members[label]), label))
    n = len(members[fewest])
    if n < shots:
        fix = f"Lower data.shots to at most {n}, or add images" if n else "Add images"
        raise ConfigError(
            f"data.shots={shots}, but class '{class_names[fewest]}' has only {n} training images."
            f" {fix}."
        )


def stratified_split(
    labels: Sequence[int], test_fraction: float, seed: int
) -> tuple[list[int], list[int]]:
    """Hold out the same share of every class.

    A class of n images gives round(n * test_fraction) of them to the test part, but at least one,
    and keeps at least one for training.

    Args:
        labels: Class index of every image; every class has two images or more.
        test_fraction: Share that is held out.
        seed: Seed of the split.

    Returns:
        Positions of the training part and of the test part, each in ascending order.
    """
    train, test = [], []
    for label, positions in _by_class(labels).items():
        n_test = min(max(1, round(len(positions) * test_fraction)), len(positions) - 1)
        shuffled = _shuffled(positions, f"split/{seed}/{label}")
        test += shuffled[:n_test]
        train += shuffled[n_test:]
    return sorted(train), sorted(test)


def class_sessions(
    names: Sequence[str], n_sessions: int, listed: SessionClasses | None = None
) -> tuple[tuple[int, ...], ...]:
    """Split the classes over continual-learning sessions: as listed, or else in their order, as evenly as possible.

    Args:
        names: Names of the classes.
        n_sessions: Number of sessions; unlisted, the first ones get one class more where it does not divide.
        listed: Names of the classes of each session; where there is one session, it gets them all.

    Returns:
        The class indices of every session.

    Raises:
        ConfigError: If there are more sessions than classes, or other sessions are listed, or a name is unknown or
            listed twice.
    """
    if listed is not None:
        return _listed_sessions(names, n_sessions, listed)
    n_classes = len(names)
    if n_sessions > n_classes:
        raise ConfigError(
            f"data.sessions={n_sessions} is more than the {n_classes} classes to split over them."
            f" Lower data.sessions to at most {n_classes}."
        )
    size, n_larger = divmod(n_classes, n_sessions)
    ends = [(i + 1) * size + min(i + 1, n_larger) for i in range(n_sessions)]
    return tuple(tuple(range(start, end)) for start, end in zip([0, *ends], ends, strict=False))


def _listed_sessions(
    names: Sequence[str], n_sessions: int, listed: SessionClasses
) -> tuple[tuple[int, ...], ...]:
    """Return the indices of the names of every session."""
    found: list[tuple[int, ...]] = []
    position = {name: index for index, name in enumerate(names)}
    seen: set[str] = set()
    for classes in listed:
        for name in classes:
            if name not in position:
                raise unknown("class in data.session_classes", name, names)
            if name in seen:
                raise ConfigError(
                    f"data.session_classes lists class '{name}' twice. Leave one of the two out."
                )
            seen.add(name)
        found.append(tuple(position[name] for name in classes))
    if n_sessions == 1:
        return (tuple(index for classes in found for index in classes),)
    if len(found) != n_sessions:
        raise ConfigError(
            f"data.sessions={n_sessions}, but data.session_classes lists {len(found)} sessions."
            f" Fix: data.sessions={len(found)}, or data.session_classes=null."
        )
    return tuple(found)


def session_indices(
    parts: Groups, session: Sequence[int], number: int, shots: int, per: ShotsPer, seed: int
) -> list[int]:
    """Draw the training images of one session.

    Args:
        parts: What sessions are made of.
        session: The parts of this one.
        number: Which session it is, from 0.
        shots: Images of each of its parts, or of all of them together.
        per: Which of the two.
        seed: Seed of the draw.

    Returns:
        Positions of training images. A smaller draw with the same seed is part of a larger one.

    Raises:
        ConfigError: If there are too few images.
    """
    check_session_shots(parts, [session], shots, per)
    if per == "class":
        return few_shot_indices(parts.of, shots, seed, session)
    pool = _pool(parts, session)
    return _shuffled(pool, f"shots/{seed}/session/{number}")[:shots]


def check_session_shots(
    parts: Groups, sessions: Sequence[Sequence[int]], shots: int, per: ShotsPer
) -> None:
    """Check that there are enough training images.

    Args:
        parts: What sessions are made of.
        sessions: The parts of each.
        shots: Images of each part, or of each session.
        per: Which of the two.

    Raises:
        ConfigError: If not; it names the class or the session with the fewest.
    """
    if per == "class":
        names = {part: parts.names[part] for session in sessions for part in session}
        check_shots(parts.of, shots, names)
        return
    sizes = [len(_pool(parts, session)) for session in sessions]
    n = min(sizes)
    if n < shots:
        raise ConfigError(
            f"data.shots={shots} for each session, but session {sizes.index(n) + 1} of {len(sizes)} has only {n}"
            f" training images. Lower data.shots to at most {n}, or add images."
        )


def _pool(parts: Groups, session: Sequence[int]) -> list[int]:
    wanted = set(session)
    return [position for position, part in enumerate(parts.of) if int(part) in wanted]


def decode(
    source: ImageSource,
    indices: Sequence[int],
    vlm_resize: Callable[[Sequence[Image.Image]], Tensor],
) -> LabelledImages:
    """Decode and resize images once, to be held in memory.

    Args:
        source: The split to read from.
        indices: At least one position in it.
        vlm_resize: `VisionLanguageModel.resize`: images to uint8 `[n, 3, height, width]`.

    Returns:
        The images in the order of `indices`. Full-size images exist for one chunk at a time.
    """
    starts = range(0, len(indices), _IMAGES_PER_CHUNK)
    chunks = [indices[start : start + _IMAGES_PER_CHUNK] for start in starts]
    labels, ids = source.labels, source.ids
    return LabelledImages(
        pixels=torch.cat([vlm_resize(source.images(chunk)) for chunk in chunks]),
        labels=torch.tensor([labels[index] for index in indices], dtype=torch.long),
        ids=tuple(ids[index] for index in indices),
    )


def _by_class(labels: Sequence[int]) -> defaultdict[int, list[int]]:
    members: defaultdict[int, list[int]] = defaultdict(list)
    for position, label in enumerate(labels):
        members[int(label)].append(position)
    return members


def _shuffled(values: Sequence[int], seed: str) -> list[int]:
    shuffled = list(values)
    random.Random(seed).shuffle(shuffled)
    return shuffled
