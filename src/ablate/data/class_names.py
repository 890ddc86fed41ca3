"""What classes are called: options of one question, so a reader can tell them apart."""

import unicodedata
from collections.abc import Sequence

from ablate.config.errors import ConfigError, unknown
from ablate.config.text import printable

_IMAGE_TOKEN = "<image>"


def readable_names(
    keys: Sequence[str], given: dict[str, str], what: str = "class folder"
) -> tuple[str, ...]:
    """Name every class.

    Args:
        keys: What the data call the classes.
        given: Name by key; others are read with `_` and `-` as spaces.
        what: What a key is, for messages.

    Raises:
        ConfigError: If a name is given to no class, or two names are equal but for case and
            spaces, or one is empty or would stand for an image.
    """
    for key in given:
        if key not in keys:
            raise unknown(f"{what} in data.class_names", key, map(printable, keys))
    named: dict[str, str] = {}
    names = []
    for key in keys:
        name = given.get(key, key.replace("_", " ").replace("-", " ").strip())
        compared = " ".join(unicodedata.normalize("NFKC", name).casefold().split())
        if not compared or _IMAGE_TOKEN in name:
            raise ConfigError(
                f"{what.capitalize()} '{printable(key)}' is called '{printable(name)}', which a model"
                " cannot give as an answer. Rename it, or give it a name in data.class_names."
            )
        if compared in named:
            other = named[compared]
            raise ConfigError(
                f"{_plural(what)} '{printable(other)}' and '{printable(key)}' are both called"
                f" '{printable(name)}'{'' if name in names else ' but for case and spaces'}."
                " Merge them, or give one another name in data.class_names."
            )
        named[compared] = key
        names.append(name)
    return tuple(names)


def _plural(what: str) -> str:
    noun, of, owner = what.partition(" of ")
    return f"{noun.capitalize()}{'es' if noun.endswith('s') else 's'}{of}{owner}"
