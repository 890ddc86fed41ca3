"""A command in a real pseudo-terminal."""

import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Sequence
from fcntl import ioctl

# Of the tests' own surroundings; rich believes COLUMNS rather than the terminal.
_NOT_PASSED = ("CI", "COLUMNS", "LINES")


def in_terminal(command: Sequence[str], columns: int = 100, **environment: str) -> str:
    """Run a command in a terminal of 40 lines; return all that it wrote there."""
    main, child = pty.openpty()
    ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    variables = {key: value for key, value in os.environ.items() if key not in _NOT_PASSED}
    variables |= {"TERM": "xterm-256color", **environment}
    process = subprocess.Popen(command, stdout=child, stderr=child, stdin=child, env=variables)
    os.close(child)
    parts, deadline = [], time.monotonic() + 300
    while time.monotonic() < deadline:
        if not select.select([main], [], [], 1.0)[0]:
            continue
        try:
            data = os.read(main, 65536)
        except OSError:  # the other end is closed
            break
        if not data:
            break
        parts.append(data)
    os.close(main)
    assert process.wait(timeout=60) == 0
    return b"".join(parts).decode()


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)
