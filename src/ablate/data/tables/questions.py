"""Questions with options, read from the rows of a table."""

import re
import string
from dataclasses import dataclass
from typing import Any

from ablate.config.errors import ConfigError
from ablate.config.schema.tables import ChoiceFormat, StatementFormat
from ablate.config.text import printable
from ablate.data.tables.rows import Rows

LETTERS = string.ascii_uppercase
TRUTH = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
# `(a) Open (b) Closed`, `A. Open B. Closed` and `A) Open` on lines of their own.
_MARKED = re.compile(r"(?:^|\s)\(([A-Za-z])\)\s*|(?:^|\n)\s*([A-Za-z])[.):]\s+")
_LETTER = re.compile(r"\(?([A-Za-z])[).:]?")


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
    options = _options(rows, config, row)
    if len(options) < 2:
        shown = ", ".join(f"'{printable(option)}'" for option in options) or "none"
        raise _error(rows, id_, f"has fewer than two options ({shown})", "columns.options=...")
    if len(options) > len(LETTERS):
        raise _error(
            rows, id_, f"has {len(options)} options, more than letters", "columns.options=..."
        )
    if len(set(options)) < len(options):
        twice = next(option for option in options if options.count(option) > 1)
        raise _error(rows, id_, f"has the option '{printable(twice)}' twice", "columns.options=...")
    return Question(asked, options, _answer(rows, config, row, id_, options))


def truth(cell: object) -> bool | None:
    """Read yes and no, true and false, 1 and 0; None for anything else."""
    return TRUTH.get(str(cell).strip().lower())


def _statement(rows: Rows, config: StatementFormat, row: int, id_: str, asked: str) -> Question:
    cell = rows.cell(config.columns.answer, row)
    is_true = truth(cell)
    if is_true is None:
        said = f"has the answer '{printable(str(cell))}'; allowed: {', '.join(TRUTH)}"
        raise _error(rows, id_, said, "columns.answer=...")
    return Question(asked, (config.positive, config.negative), 0 if is_true else 1)


def _options(rows: Rows, config: ChoiceFormat, row: int) -> tuple[str, ...]:
    columns = config.columns.options
    if not isinstance(columns, str):
        cells = [_text(rows.cell(column, row)) for column in columns]
        return tuple(cell for cell in cells if cell and cell not in config.empty)
    cell = rows.cell(columns, row)
    if isinstance(cell, list):
        return tuple(_text(option) for option in cell)
    text = _text(cell)
    if config.separator is not None:
        return tuple(part.strip() for part in text.split(config.separator) if part.strip())
    marks = list(_MARKED.finditer(text))
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    return tuple(text[m.end() : end].strip() for m, end in zip(marks, ends, strict=True))


def _answer(rows: Rows, config: ChoiceFormat, row: int, id_: str, options: tuple[str, ...]) -> int:
    cell = rows.cell(config.columns.answer, row)
    found = _position(cell, config, options)
    if found is None or not 0 <= found < len(options):
        what = "no answer" if cell is None else f"the answer '{printable(str(cell)):.60}'"
        said = f"has {what}, which is not one of its {len(options)} options as {config.answer}"
        raise _error(
            rows, id_, said, "columns.answer=..., answer=letter, index, index-from-1 or text"
        )
    return found


def _position(cell: Any, config: ChoiceFormat, options: tuple[str, ...]) -> int | None:  # noqa: ANN401  # any cell
    text = _text(cell)
    match config.answer:
        case "letter":
            letter = _LETTER.fullmatch(text)
            return LETTERS.index(letter[1].upper()) if letter else None
        case "text":
            return options.index(text) if text in options else None
        case "index" | "index-from-1":
            number = int(text) if re.fullmatch(r"\d+", text) else None
            return number if number is None or config.answer == "index" else number - 1


def _text(cell: object) -> str:
    return "" if cell is None else str(cell).strip()


def _error(rows: Rows, id_: str, what: str, fix: str) -> ConfigError:
    place = rows.owner.key.removesuffix(".data")
    return ConfigError(f"Item '{printable(id_)}' of {rows.owner.name} {what}. Fix: {place}.{fix}")
