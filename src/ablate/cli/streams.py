"""Standard output and error that never stop a sweep: what cannot be shown is lost, the runs are not."""

import codecs
import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_SPELLED = {"±": "+/-", "…": "...", "→": "->"}
_HANDLER = "ablate.spelled"


def steady_streams() -> None:
    """Replace the process's output streams by ones whose writes do not fail.

    A closed descriptor is opened on the null device first, or the next file that is opened would
    take its number and a library's message would land in it.
    """
    null = os.open(os.devnull, os.O_RDWR)
    while null <= 2:
        null = os.dup(null)
    os.close(null)
    codecs.register_error(_HANDLER, _spell)
    sys.stdout = _steady(sys.stdout, 1)
    sys.stderr = _steady(sys.stderr, 2)


class _SteadyFile(io.FileIO):
    """A descriptor that is no longer written to once a write has failed: the reader is gone, or the disk is full."""

    def write(self, data: "ReadableBuffer", /) -> int:
        try:
            return super().write(data)
        except OSError:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self.fileno())
            os.close(null)
            return memoryview(data).nbytes


def _steady(stream: TextIO | None, descriptor: int) -> TextIO:
    encoding = stream.encoding if stream is not None else "utf-8"
    file = _SteadyFile(descriptor, "w", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(file),
        encoding=encoding,
        errors=_HANDLER,
        line_buffering=True,
    )


def _spell(error: UnicodeError) -> tuple[str, int]:
    """Write a character that a terminal does not have in other characters."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    given = error.object[error.start : error.end]
    shown = "".join(
        _SPELLED.get(character) or character.encode("ascii", "backslashreplace").decode()
        for character in given
    )
    return shown, error.end
