"""Instruction data in the format of LLaVA-Instruct (Liu et al., arXiv 2304.08485)."""

import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from ablate.config.errors import ConfigError
from ablate.config.schema import LlavaJsonData
from ablate.config.text import is_text, printable
from ablate.data.decoding import read_rgb
from ablate.data.image_files import below, digests
from ablate.data.instructions.json_entries import entries, read_text
from ablate.data.types import Conversation, InstructionData

_PLACEHOLDER = "<image>"
_ROLES = ("human", "gpt")


class _BrokenEntryError(ValueError):
    """What is wrong with an entry, in words that follow its place."""


@dataclass(frozen=True)
class _Entry:
    """One entry of the file.

    Attributes:
        place: Where it stands, for messages.
        id: Its own id, or its number in the file.
        image: Name of its image, if it has one.
        turns: Questions and answers without placeholders.
    """

    place: str
    id: str
    image: str | None
    turns: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class _ImageFiles:
    """Images in a folder, by name."""

    folder: Path
    ids: Sequence[str]

    def images(self, indices: Sequence[int]) -> list[Image.Image]:
        return [read_rgb(self.folder / self.ids[index], self.ids[index]) for index in indices]


def load_llava_json(config: LlavaJsonData) -> InstructionData:
    """Read a file of conversations, and decode the images of those drawn once.

    Args:
        config: Where the file and its images are, and how many conversations are drawn.

    Returns:
        The drawn conversations in the order of the file, turn by turn; those without an image too.

    Raises:
        ConfigError: If the file or an entry is broken, or an image is missing, broken or outside
            `image_folder`; it names what it is, where, and the fix.
    """
    path, folder = Path(config.path).expanduser(), Path(config.image_folder).expanduser()
    text = read_text(path)
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "does not exist"
        raise ConfigError(
            f"data.image_folder='{config.image_folder}' {what}."
            " Set data.image_folder to the folder that the images' names start from."
        )
    drawn = _draw(list(_read(path, text)), config)
    if not drawn:
        raise ConfigError(f"data.path='{config.path}' holds no conversation. Add some.")
    files: dict[str, Path] = {}
    for entry in drawn:
        if entry.image is not None and entry.image not in files:
            files[entry.image] = _file(folder, entry.image, entry.place)
    rows = {name: row for row, name in enumerate(files)}
    contents = dict(zip(files, digests(list(files.values())), strict=True))
    return InstructionData(
        name=config.name,
        conversations=tuple(
            Conversation(entry.id, None if entry.image is None else rows[entry.image], entry.turns)
            for entry in drawn
        ),
        images=_ImageFiles(folder, tuple(rows)),
        fingerprint=_fingerprint(text, contents, config),
    )


def _read(path: Path, text: str) -> Iterator[_Entry]:
    for number, (line, value) in enumerate(entries(path, text), start=1):
        place = f"'{path}', line {line} (entry {number})"
        try:
            yield _entry(value, place, number)
        except _BrokenEntryError as error:
            raise ConfigError(f"{place}: {error}. Fix: correct or remove the entry.") from error


def _entry(value: object, place: str, number: int) -> _Entry:
    if not isinstance(value, dict):
        raise _BrokenEntryError("is not an object with 'conversations'")
    image = value.get("image")
    if not isinstance(image, str | None):
        raise _BrokenEntryError(f"'image' is {image!r:.60}; allowed: one file name, or none")
    messages = _messages(value.get("conversations"))
    if image is None and any(_PLACEHOLDER in message for message in messages):
        raise _BrokenEntryError(f"the text has an {_PLACEHOLDER}, but there is no 'image'")
    texts = [message.replace(_PLACEHOLDER, "").strip() for message in messages]
    turns = tuple(zip(texts[::2], texts[1::2], strict=True))
    for turn, (_, answer) in enumerate(turns, start=1):
        if not answer:
            raise _BrokenEntryError(f"answer {turn} is empty")
    return _Entry(place, str(value.get("id", number)), image, turns)


def _messages(conversation: object) -> list[str]:
    """Return the messages, by human and gpt alternately."""
    if not isinstance(conversation, list) or not conversation:
        raise _BrokenEntryError("'conversations' has to be a list of messages")
    texts = []
    for number, message in enumerate(conversation):
        if not isinstance(message, dict) or not isinstance(message.get("value"), str):
            raise _BrokenEntryError(f"message {number + 1} has no text in 'value'")
        role, expected = message.get("from"), _ROLES[number % 2]
        if role != expected:
            raise _BrokenEntryError(
                f"message {number + 1} is from {role!r:.60}, where '{expected}' is expected:"
                " 'human' and 'gpt' take turns, 'human' first"
            )
        if not is_text(message["value"]):
            raise _BrokenEntryError(
                f"message {number + 1} holds half a character, a lone \\uD8.. or \\uDC.."
            )
        texts.append(message["value"])
    if len(texts) % 2:
        raise _BrokenEntryError("the last question has no answer")
    return texts


def _draw(read: list[_Entry], config: LlavaJsonData) -> list[_Entry]:
    """Draw the requested number of entries; a smaller draw is part of a larger one."""
    if config.conversations is None:
        return read
    order = list(range(len(read)))
    random.Random(f"conversations/{config.seed}").shuffle(order)
    return [read[index] for index in sorted(order[: config.conversations])]


def _file(folder: Path, name: str, place: str) -> Path:
    """Return an image file that has to be there."""
    try:
        return below(folder, name)
    except ValueError as error:
        raise ConfigError(
            f"{place}: image '{printable(name)}' {error}."
            " Fix: add the file, set data.image_folder, or remove the entry."
        ) from error


def _fingerprint(text: str, contents: dict[str, str], config: LlavaJsonData) -> str:
    """Hash what is read: the file, the draw, and the images' names and contents."""
    digest = hashlib.sha256(text.encode())
    digest.update(repr((config.conversations, config.seed)).encode())
    digest.update(repr(sorted(contents.items())).encode())
    return digest.hexdigest()
