"""Files that are there whole or not at all, and what is done with those that are not ours or not whole."""

import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

_TEMPORARY = re.compile(r"\..+\.tmp")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; if the block succeeds, move it there, durably.

    Readers see the old file or the new one, whole, also after a crash or a power cut.

    Args:
        path: The file to write or replace; its folder must exist.

    Yields:
        The path to write to.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
        _sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def sha256_of(file: Path) -> str:
    """Hash a file's content."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def remove_temporary(folder: Path) -> None:
    """Remove what `replacing` left behind when its process was killed.

    Call it only while holding the lock that writers into the folder hold.
    """
    for path in _entries(folder):
        if _TEMPORARY.fullmatch(path.name) and path.is_file():
            path.unlink(missing_ok=True)


def has_temporary(folder: Path) -> bool:
    """Tell whether `replacing` is writing in a folder, or was when its process was killed."""
    return any(_TEMPORARY.fullmatch(path.name) for path in _entries(folder))


def set_aside(path: Path, damaged: Path) -> Path:
    """Move a file or folder that cannot be what it should be out of the way; nothing is deleted.

    Args:
        path: What to move.
        damaged: The folder that such things are kept in; made if it is missing.

    Returns:
        Where it is now.
    """
    number = 1
    while damaged.exists() and not damaged.is_dir():
        damaged = damaged.with_name(f"{damaged.name}-{number}")
    damaged.mkdir(parents=True, exist_ok=True)
    while (place := damaged / f"{path.name}-{number}").exists():
        number += 1
    path.rename(place)
    return place


@contextmanager
def locked(path: Path, timeout_seconds: float = -1) -> Iterator[bool]:
    """Hold a lock file for the length of the block.

    Args:
        path: The lock file; its folder must exist.
        timeout_seconds: How long to wait for another process that holds it; -1 for as long as it takes.

    Yields:
        Whether this process holds it.
    """
    lock = FileLock(path, timeout=timeout_seconds)
    try:
        lock.acquire()
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _entries(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
