"""The one exception that means: the user's configuration is wrong."""

import difflib
from collections.abc import Iterable

from ablate.config.text import printable

_LONGEST_WORD = 200


class ConfigError(ValueError):
    """A mistake in usage or configuration; its text is the one line the user sees."""


def nearest(given: str, allowed: Iterable[str]) -> str | None:
    """Return the allowed word most like `given`, or None when nothing is close."""
    matches = difflib.get_close_matches(given, list(allowed), n=1, cutoff=0.6)
    return matches[0] if matches else None


def unknown(what: str, given: str, allowed: Iterable[str]) -> ConfigError:
    """Build the error for a name that does not exist.

    Args:
        what: Kind of thing that was named, such as `method`.
        given: The name that was given.
        allowed: Every name that would have been accepted.

    Returns:
        An error that names the nearest match, if any, and all allowed names.
    """
    choices = sorted(allowed)
    match = nearest(given, choices)
    hint = f" Did you mean '{match}'?" if match else ""
    return ConfigError(f"Unknown {what} '{given}'.{hint} Available: {', '.join(choices)}.")


def one_line(text: str) -> str:
    """Write a text as one line that any terminal can show: no control characters, no endless words."""
    words = [
        word if len(word) <= _LONGEST_WORD else f"{word[:80]}...{word[-20:]}"
        for word in text.split()
    ]
    return printable(" ".join(words))
