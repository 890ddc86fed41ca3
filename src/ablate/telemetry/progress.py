"""Progress bars with an ETA: on a terminal only, and never two that write over each other."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

from tqdm import tqdm

_SWEEP_POSITION = 0
_RUN_POSITION = 1


@contextmanager
def stage_bar(label: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
    """Show how far one stage of a run is.

    Args:
        label: What is going on.
        total: How many units there are.
        unit: What is counted.

    Yields:
        A function that counts units as done.
    """
    with tqdm(
        total=total, desc=label, unit=unit, leave=False, disable=None, position=_RUN_POSITION
    ) as bar:

        def advance(n: int) -> None:
            bar.update(n)

        yield advance


def sweep_bar(label: str, total: int) -> "tqdm[NoReturn]":
    """Return the bar of a whole sweep, counted in runs."""
    return tqdm(total=total, desc=label, unit="run", disable=None, position=_SWEEP_POSITION)


def say(line: str) -> None:
    """Print a line without tearing a bar."""
    tqdm.write(line)
