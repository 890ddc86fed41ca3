"""The cache that the runs of all sweeps below one output folder share."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ablate.results.files import has_temporary, locked, remove_temporary, replacing, set_aside

_LOCK = ".lock"


@contextmanager
def writing(entry: Path) -> Iterator[Path]:
    """Give a temporary path for a cache entry; if the block succeeds, the entry is there, whole.

    A folder in the entry's place is set aside.

    Args:
        entry: The file to write; its folder is made if it is missing.
    """
    entry.parent.mkdir(parents=True, exist_ok=True)
    with locked(entry.parent / _LOCK):
        if entry.is_dir():
            set_aside(entry, entry.parent / "damaged")
        with replacing(entry) as temporary:
            yield temporary


def tidy(folder: Path) -> str | None:
    """Put a cache folder in order: remove what killed processes left half written, unless one is writing there.

    Returns:
        One line if a file was in the folder's place and was set aside.
    """
    if folder.exists() and not folder.is_dir():
        place = set_aside(folder, folder.parent / ".damaged")
        return f"{folder} is a file, not a folder: set aside in {place}"
    if has_temporary(folder):
        with locked(folder / _LOCK, timeout_seconds=0) as mine:
            if mine:
                remove_temporary(folder)
    return None
