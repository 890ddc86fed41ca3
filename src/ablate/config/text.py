"""Text from files and folders as it may be shown: nothing in it moves the cursor or turns the line around."""

import unicodedata

# Invisible too, but scripts and emoji are written with them: zero-width non-joiner and joiner.
_JOINERS = "\u200c\u200d"
# Control, format (the bidirectional overrides among them), surrogate, line and paragraph separator.
_ESCAPED = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def printable(text: str) -> str:
    r"""Escape what would not be seen, or would change how the rest of a line is seen.

    Args:
        text: Any text, also a file name that is not UTF-8 (whose stray bytes Python holds as lone surrogates).

    Returns:
        One line that can be encoded, with escapes such as `\n`, `\x1b` and `\u202e`.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(character) for character in text)


def is_text(text: str) -> bool:
    """Tell whether a text can be encoded: names that are not UTF-8 and half characters of JSON cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def encodable(text: str) -> str:
    r"""Return a text that any file takes: half characters, of a file name that is not UTF-8, become `\udcff`."""
    return text.encode("utf-8", "backslashreplace").decode()


def _escaped(character: str) -> str:
    if unicodedata.category(character) not in _ESCAPED or character in _JOINERS:
        return character
    return character.encode("unicode_escape").decode("ascii")
