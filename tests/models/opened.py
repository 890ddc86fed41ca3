"""Which files of a folder are opened and read, by whatever process or library: told by Linux itself (inotify)."""

import ctypes
import os
import struct
from collections import Counter
from pathlib import Path

_ACCESS, _OPEN = 0x1, 0x20
_HEADER = struct.Struct("iIII")
_libc = ctypes.CDLL(None, use_errno=True)


class Watch:
    """Counts the openings and the `read` calls of a folder's files; what is mapped is opened, not read."""

    def __init__(self, folder: Path) -> None:
        """Watch from now on."""
        self._descriptor = _libc.inotify_init1(os.O_NONBLOCK)
        if _libc.inotify_add_watch(self._descriptor, bytes(folder), _ACCESS | _OPEN) < 0:
            raise OSError(ctypes.get_errno(), f"cannot watch {folder}")

    def seen(self) -> tuple[Counter[str], Counter[str]]:
        """Return how often each file was opened and read since the last call; equal events in a row count once."""
        opened: Counter[str] = Counter()
        read: Counter[str] = Counter()
        while True:
            try:
                events = os.read(self._descriptor, 1 << 16)
            except BlockingIOError:
                return opened, read
            place = 0
            while place < len(events):
                _, mask, _, length = _HEADER.unpack_from(events, place)
                place += _HEADER.size
                name = events[place : place + length].rstrip(b"\0").decode()
                place += length
                opened[name] += bool(mask & _OPEN)
                read[name] += bool(mask & _ACCESS)
