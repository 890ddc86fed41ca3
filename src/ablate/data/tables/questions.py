"""Questions with options, read from the rows of a table."""

import re
import string
from dataclasses import dataclass

from ablate.config.errors import ConfigError
from ablate.config.schema.tables import ChoiceFormat, StatementFormat
from ablate.config.text import printable
from ablate.data.tables.rows import Rows

LETTERS = string.ascii_uppercase
TRUTH = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
# `(a) Open (b) Closed`, `A. Open B. Closed` and `A) Open` on lines of their own.
_MARKED = re.compile(r"(?:^|(?<=\s))\(([A-Za-z])\)\s*|(?:^|\n)\s*([A-Za-z])[.):]\s+")
_LETTER = re.compile(r"\(?([A-Za-z])[).:]?")
_IMAGE_TOKEN = "<image>"


@dataclass(frozen=True)
class Question:
    """A question of a row.

    Attributes:
        asked: What the row asks, its hint in front.
        options: Answer texts, all different; at least two.
        answer: Index of the correct one.
    """

    asked: str
    options: tuple[str, ...]
    answer: int


def needed_columns(config: ChoiceFormat | StatementFormat) -> list[str]:
    """Return the columns that are read besides the image."""
    found: list[str] = []
    for key, column in vars(config.columns).items():
        if key != "image" and column is not None:
            found += [column] if isinstance(column, str) else column
    return list(dict.fromkeys(found))


def read_question(
    rows: Rows, config: ChoiceFormat | StatementFormat, row: int, id_: str
) -> Question:
    """Read the question of a row.

    Args:
        rows: The table.
        config: Which column holds what, and how.
        row: The row.
        id_: What the item is called, for messages.

    Raises:
        ConfigError: If it has no question, fewer than two options, two that are the same, or no valid answer.
    """
    asked = _text(rows.cell(config.columns.question, row))
    if not asked.strip():
        raise _error(rows, id_, "has no question", "columns.question=...")
    if isinstance(config, StatementFormat):
        return _statement(rows, config, row, id_, asked)
    hint = config.columns.hint and _text(rows.cell(config.columns.hint, row))
    if hint and hint not in config.empty:
        asked = f"{hint}\n{asked}"
    cells = _options(rows, config, row)
    options = tuple(filter(None, cells))
    if len(options) < 2:
        raise _too_few(rows, config, row, id_, options)
    if len(options) > len(LETTERS):
        raise _error(
            rows, id_, f"has {len(options)} options, more than letters", "columns.options=..."
        )
    if len(set(options)) < len(options):
        twice = next(option for option in options if options.count(option) > 1)
        raise _error(rows, id_, f"has the option '{printable(twice)}' twice", "columns.options=...")
    if any(_IMAGE_TOKEN in text for text in (asked, *options)):
        said = f"holds '{_IMAGE_TOKEN}', which would stand for a second image"
        raise _error(rows, id_, said, "columns.question=...")
    return Question(asked, options, _answer(rows, config, row, id_, cells))


def truth(cell: object) -> bool | None:
    """Read yes and no, true and false, 1 and 0; None for anything else."""
    return TRUTH.get(str(cell).strip().lower())


def _statement(rows: Rows, config: StatementFormat, row: int, id_: str, asked: str) -> Question:
    cell = rows.named(config.columns.answer, row)
    is_true = truth(cell)
    if is_true is None:
        said = f"has the answer '{printable(str(cell))}'; allowed: {', '.join(TRUTH)}"
        raise _error(rows, id_, said, "columns.answer=...")
    return Question(asked, (config.positive, config.negative), 0 if is_true else 1)


def _options(rows: Rows, config: ChoiceFormat, row: int) -> list[str]:
    """Return the options in the places that the table gives them; an empty one is ''."""
    columns = config.columns.options
    if isinstance(columns, str):
        cell = rows.cell(columns, row)
        cells = cell if isinstance(cell, list) else _split(_text(cell), config.separator)
    else:
        cells = [rows.cell(column, row) for column in columns]
    texts = map(_text, cells)
    return ["" if text in config.empty else text for text in texts]


def _split(text: str, separator: str | None) -> list[str]:
    """Split a text of options at a separator, or at their marks; none where these do not say for sure what they are."""
    if separator is not None:
        return text.split(separator)
    found = [(mark, (mark[1] or mark[2]).upper()) for mark in _MARKED.finditer(text)]
    marks: list[re.Match[str]] = []
    for mark, letter in found:
        # `(x)` within an option is none of the marks A, B, C, ...
        if letter == LETTERS[len(marks) : len(marks) + 1]:
            marks.append(mark)
    n_used = sum(letter in LETTERS[: len(marks)] for _, letter in found)
    if not marks or text[: marks[0].start()].strip() or n_used > len(marks):
        return []
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    return [text[mark.end() : end] for mark, end in zip(marks, ends, strict=True)]


def _too_few(
    rows: Rows, config: ChoiceFormat, row: int, id_: str, options: tuple[str, ...]
) -> ConfigError:
    column = config.columns.options
    text = rows.cell(column, row) if isinstance(column, str) else None
    if isinstance(text, str) and config.separator is None and not options:
        said = f"has the options '{printable(text):.60}', which are not marked (a), (b), ... once each, in this order"
        return _error(rows, id_, said, "separator=<what is between them>, or columns.options=...")
    shown = ", ".join(f"'{printable(option):.60}'" for option in options) or "none"
    return _error(rows, id_, f"has fewer than two options ({shown})", "columns.options=...")


def _answer(rows: Rows, config: ChoiceFormat, row: int, id_: str, cells: list[str]) -> int:
    """Return which of the options that are not empty is the answer; `cells` have the places that a table counts."""
    cell = rows.named(config.columns.answer, row)
    found = _position(_text(cell), config, cells)
    if found is None or not 0 <= found < len(cells) or not cells[found]:
        what = "no answer" if cell is None else f"the answer '{printable(str(cell)):.60}'"
        n = len(cells) - cells.count("")
        said = f"has {what}, which is not one of its {n} options as {config.answer}"
        raise _error(
            rows, id_, said, "columns.answer=..., answer=letter, index, index-from-1 or text"
        )
    return found - cells[:found].count("")


def _position(text: str, config: ChoiceFormat, cells: list[str]) -> int | None:
    match config.answer:
        case "letter":
            letter = _LETTER.fullmatch(text)
            return LETTERS.index(letter[1].upper()) if letter else None
        case "text":
            return cells.index(text) if text in cells else None
        case "index" | "index-from-1":
            number = int(text) if re.fullmatch(r"\d+", text) else None
            return number if number is None or config.answer == "index" else number - 1


def _text(cell: object) -> str:
    return "" if cell is None else str(cell).strip()


def _error(rows: Rows, id_: str, what: str, fix: str) -> ConfigError:
    place = rows.owner.key.removesuffix(".data")
    return ConfigError(f"Item '{printable(id_)}' of {rows.owner.name} {what}. Fix: {place}.{fix}")
