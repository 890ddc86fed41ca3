"""The entries of a JSON array or of JSON lines, each with the line it begins in."""

import errno
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ablate.config.errors import ConfigError

_SPACE = re.compile(r"[ \t\r\n]*")


def read_text(path: Path) -> str:
    """Read a file of entries.

    Raises:
        ConfigError: If it cannot be read, or is not UTF-8 text.
    """
    try:
        if path.exists() and not path.is_dir() and not path.is_file():
            # Opening a pipe would block until it has a writer.
            raise OSError(errno.EINVAL, "Not a regular file")
        content = path.read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(
            f"data.path='{path}' cannot be read ({reason}). Set data.path to a JSON file."
        ) from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = 1 + content.count(b"\n", 0, error.start)
        raise _broken(path, line, "is not UTF-8 text") from error


def entries(path: Path, text: str) -> Iterator[tuple[int, Any]]:
    """Yield every entry of `text` with the line it begins in, counted from 1.

    A text that begins with `[` is one JSON array; any other has an entry in every line that is not
    blank.

    Args:
        path: The file that `text` comes from; error messages name it.
        text: All of it.

    Raises:
        ConfigError: If the text is broken; it names the line.
    """
    start = _after_space(text, 0)
    if text[start : start + 1] == "[":
        yield from _of_array(path, text, start)
    else:
        yield from _of_lines(path, text)


def _of_lines(path: Path, text: str) -> Iterator[tuple[int, Any]]:
    # Not splitlines(), which also ends a line at characters that JSON allows inside one.
    for line, content in enumerate(text.split("\n"), start=1):
        if content.strip():
            try:
                value = json.loads(content)
            except ValueError as error:
                raise _broken(path, line, f"is not JSON ({error})") from error
            yield line, value


def _of_array(path: Path, text: str, start: int) -> Iterator[tuple[int, Any]]:
    decoder = json.JSONDecoder()
    position = _after_space(text, start + 1)
    line, counted = 1, 0
    is_over = text[position : position + 1] == "]"
    while not is_over:
        line += text.count("\n", counted, position)
        counted = position
        try:
            value, position = decoder.raw_decode(text, position)
        except json.JSONDecodeError as error:
            raise _broken(path, error.lineno, f"is not JSON ({error.msg})") from error
        yield line, value
        position = _after_space(text, position)
        mark = text[position : position + 1]
        if mark not in ("]", ","):
            found = f"has {mark!r}" if mark else "ends the file"
            raise _broken(
                path, _line_at(text, position), f"{found} where ',' or ']' has to follow an entry"
            )
        is_over = mark == "]"
        if not is_over:
            position = _after_space(text, position + 1)
    end = _after_space(text, position + 1)
    if end < len(text):
        raise _broken(path, _line_at(text, end), "goes on after the array has ended")


def _after_space(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _line_at(text: str, position: int) -> int:
    return 1 + text.count("\n", 0, position)


def _broken(path: Path, line: int, reason: str) -> ConfigError:
    return ConfigError(
        f"'{path}', line {line}: {reason}. Fix: correct that line; the file is a JSON array of entries,"
        " or one entry a line."
    )
