"""Text of others, such as class names and file names, as it may be shown."""


def printable(text: str) -> str:
    """Escape what would move a terminal's cursor, break a line or turn the reading direction.

    Args:
        text: Any text, also one that holds a lone surrogate.

    Returns:
        The text with every character that is not printable written as in a Python literal.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
