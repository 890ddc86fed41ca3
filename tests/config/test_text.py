import os

import pytest

from ablate.config.text import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a plain name", "a plain name"),
        ("été, 猫, \U0001f468\u200d\U0001f4bb", "été, 猫, \U0001f468\u200d\U0001f4bb"),
        ("two\nlines\r\ttab", "two\\nlines\\r\\ttab"),
        ("\x1b[31mred\x07\x7f\x9b", "\\x1b[31mred\\x07\\x7f\\x9b"),
        ("gpj.\u202egnp", "gpj.\\u202egnp"),
        ("\u2066a\u2069\u200e\ufeff\u2028\u2029", "\\u2066a\\u2069\\u200e\\ufeff\\u2028\\u2029"),
        (os.fsdecode(b"caf\xe9"), "caf\\udce9"),
    ],
)
def test_only_what_would_not_be_seen_is_escaped(text, shown):
    assert printable(text) == shown
    assert "\n" not in printable(text)
    printable(text).encode()
