"""What has been computed of large files, remembered until they change: 26 GB need not be read in every process."""

import json
import re
import time
from collections.abc import Callable
from pathlib import Path

from ablate.results.cache import writing

_FILE = "files.json"
# A file that was written a moment ago may be written again without its time changing.
_SETTLED_SECONDS = 2
# A SHA-256, or that nothing is wrong.
_VALUE = re.compile(r"[0-9a-f]{64}|yes")
_known: dict[str, str] = {}
_stored: set[str] = set()


def remembered(what: str, file: Path, compute: Callable[[Path], str]) -> str:
    """Return what is known of a file, or compute it.

    Args:
        what: What is computed, as a word.
        file: The file; path, size, time of change and inode tell whether it is still the same.
        compute: Computes it; what raises is not remembered.
    """
    key = _key(what, file)
    if key not in _known:
        value = compute(file)
        if key != _key(what, file) or time.time() - file.stat().st_mtime < _SETTLED_SECONDS:
            return value
        _known[key] = value
    return _known[key]


def is_remembered(what: str, file: Path) -> bool:
    """Tell whether `remembered` would compute nothing."""
    return _key(what, file) in _known


def recall(folder: Path) -> None:
    """Read what other processes have left in a cache folder; damaged entries are ignored."""
    try:
        content = json.loads((folder / _FILE).read_text(encoding="utf-8"))
        found = {key: value for key, value in content.items() if _VALUE.fullmatch(str(value))}
    except (OSError, ValueError, AttributeError, RecursionError):
        return
    _known.update(found)
    _stored.update(f"{folder}|{key}" for key in found)


def store(folder: Path) -> None:
    """Leave what this process knows in a cache folder, for others."""
    if all(f"{folder}|{key}" in _stored for key in _known):
        return
    recall(folder)
    with writing(folder / _FILE) as temporary:
        temporary.write_text(json.dumps(_known, indent=1), encoding="utf-8")
    _stored.update(f"{folder}|{key}" for key in _known)


def _key(what: str, file: Path) -> str:
    found = file.stat()
    parts = (what, file.resolve(), found.st_size, found.st_mtime_ns, found.st_ino)
    return "|".join(str(part) for part in parts)
