"""YAML text from anyone, read within bounds: nothing in it may run code, hang or fill the memory."""

import io
import re
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from omegaconf import Container, OmegaConf

from ablate.config.errors import ConfigError

MAX_BYTES = 1 << 20
MAX_DEPTH = 64
MAX_VALUES = 20_000
MAX_NUMBER_CHARACTERS = 100
_TAG_PREFIX = "tag:yaml.org,2002:"
_TAGS = frozenset(
    _TAG_PREFIX + name for name in ("str", "int", "float", "bool", "null", "map", "seq", "merge")
)
_NUMBER = re.compile(r"[-+.]?[0-9][-+0-9a-fA-F_xob.:]*")


def read_text(path: Path) -> str:
    """Read a configuration file.

    Raises:
        ConfigError: If it cannot be read, is larger than 1 MiB, or is not UTF-8.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read ({error.strerror}). Fix: give a readable file."
        ) from error
    if len(content) > MAX_BYTES:
        raise ConfigError(
            f"{path} is larger than {MAX_BYTES} bytes, the limit of a configuration file. "
            "Fix: give a configuration file."
        )
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path} is not UTF-8 (byte {error.start}). Fix: save it as UTF-8."
        ) from error


def parse(text: str, path: Path) -> Container:
    """Parse a configuration file's text.

    Args:
        text: What `read_text` returned.
        path: The file, for messages.

    Returns:
        The file's mapping, or the sequence or scalar it holds in one.

    Raises:
        ConfigError: If it is not YAML, or holds tags, cycles, or more than a configuration needs.
    """
    try:
        _check_events(text, path)
        return OmegaConf.load(io.StringIO(text))
    except yaml.YAMLError as error:
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or error
        raise ConfigError(
            f"{path}{_line(getattr(error, 'problem_mark', None))} is not YAML: {problem}. "
            "Fix: correct that line."
        ) from error
    except ConfigError:
        raise
    except Exception as error:  # OmegaConf refuses keys and values in a dozen classes of its own
        raise ConfigError(
            f"{path} holds what is not allowed in a configuration: {error}. Fix: use text keys and plain values."
        ) from error


@dataclass
class _Reading:
    """How much of a document has been seen.

    Attributes:
        values: Values so far, an alias counted with all that it stands for.
        open: Anchor and `values` at the start of every collection that has not ended.
        sizes: Values below every anchor.
    """

    values: int = 0
    open: list[tuple[str | None, int]] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)


def _check_events(text: str, path: Path) -> None:
    """Count what a document expands to, without expanding it.

    A few aliases of aliases stand for billions of values; PyYAML builds them at once, OmegaConf copies every one.
    """
    seen = _Reading()
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        where = f"{path}{_line(event.start_mark)}"
        tag = getattr(event, "tag", None)
        if tag is not None and tag not in _TAGS:
            raise ConfigError(
                f"{where} has the tag {tag.replace(_TAG_PREFIX, '!!')}; "
                "allowed: plain text, numbers, lists and mappings. Fix: leave the tag out."
            )
        if isinstance(event, yaml.AliasEvent):
            if event.anchor in {anchor for anchor, _ in seen.open}:
                raise ConfigError(
                    f"{where} refers to itself by *{event.anchor}. Fix: write it out."
                )
            seen.values += seen.sizes.get(str(event.anchor), 1)
        elif isinstance(event, yaml.ScalarEvent):
            seen.values += 1
            _check_scalar(event, where)
            if event.anchor:
                seen.sizes[event.anchor] = 1
        elif isinstance(event, yaml.CollectionStartEvent):
            seen.open.append((event.anchor, seen.values))
            seen.values += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = seen.open.pop()
            if anchor:
                seen.sizes[anchor] = seen.values - before
        if len(seen.open) > MAX_DEPTH:
            raise ConfigError(
                f"{where} is nested deeper than {MAX_DEPTH} levels. Fix: write it flat."
            )
        if seen.values > MAX_VALUES:
            raise ConfigError(
                f"{where} brings the file to more than {MAX_VALUES} values, its aliases counted. "
                "Fix: write fewer."
            )


def _check_scalar(event: yaml.ScalarEvent, where: str) -> None:
    """Refuse text that cannot be written back, and numbers so long that Python will not; base 60 hangs, too."""
    if any("\ud800" <= character <= "\udfff" for character in event.value):
        raise ConfigError(f"{where} has half a surrogate pair. Fix: write the character itself.")
    is_plain = event.style is None or event.tag is not None
    if is_plain and len(event.value) > MAX_NUMBER_CHARACTERS and _NUMBER.fullmatch(event.value):
        raise ConfigError(
            f"{where} has a number of {len(event.value)} characters; allowed: "
            f"{MAX_NUMBER_CHARACTERS}. Fix: a shorter number, or quotes around a text."
        )


def _line(mark: object) -> str:
    line = getattr(mark, "line", None)
    return "" if line is None else f", line {line + 1},"
