"""A plan in Markdown: headings, and below each the fields of an ablation; HTML around it is ignored."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from markdown_it import MarkdownIt
from markdown_it.token import Token

from ablate.plans.vocabulary import vocabulary
from ablate.plans.words import LONGEST_TEXT

# Blocks only; text is read where it is a field's. A fence or a tag around the plan does not hide it.
_BLOCKS = (
    MarkdownIt("commonmark")
    .enable("table")
    .disable(["inline", "html_block", "reference", "code", "fence"])
)
_INLINE = MarkdownIt("commonmark")
_UNKNOWN_FIELD = re.compile(r"\s*(\*\*|__)[^*_\n]{1,60}(:(\*\*|__)|(\*\*|__)\s*:)")
# Indented by more than the parser takes for a list inside a list.
_BULLET = re.compile(r"\s*(?:[-*+]|\d{1,3}[.)])\s+")
_HIDDEN = (("<!--", "-->"), ("<style", "</style>"), ("<script", "</script>"))


@dataclass
class Record:
    """The fields of one ablation, as they stand.

    Attributes:
        heading: The heading above it.
        fields: Items by field.
        problem: What could not be read.
    """

    heading: str
    fields: dict[str, list[str]] = field(default_factory=dict)
    problem: str | None = None


def read_markdown(text: str) -> tuple[str, list[Record]]:
    """Read the ablations of a plan.

    Args:
        text: The file's text.

    Returns:
        The first heading of the first level, and the ablations.
    """
    for opening, closing in _HIDDEN:
        text = _without(text, opening, closing)
    reader = _Reader()
    tokens = _BLOCKS.parse(text)
    position = 0
    while position < len(tokens):
        token = tokens[position]
        if token.type == "table_open":
            start = position
            while tokens[position].type != "table_close":
                position += 1
            reader.table(tokens[start:position])
        elif token.type == "heading_open":
            reader.heading(_plain(tokens[position + 1].content), token.tag)
            position += 1
        elif token.type == "inline":
            reader.block(token.content, within_list=token.level > 1)
        position += 1
    # A line of prose such as "Metrics: ..." is no ablation.
    return reader.title, [r for r in reader.records if {"part", "action"} & r.fields.keys()]


def field_of(text: str) -> tuple[str, str] | None:
    """Split `Field: text`; None if it begins with no field of a plan."""
    for name, words in vocabulary().fields.items():
        for word in sorted(words, key=len, reverse=True):
            spaced = r"[\s_]*".join(map(re.escape, word.split()))
            if match := re.match(
                rf"\W*{spaced}s?\s*(?:[:\uff1a=]|\s[-\u2013\u2014]\s)\s*(.*)", text, re.I | re.S
            ):
                return name, match[1].strip()
    return None


class _Reader:
    """What has been read so far."""

    def __init__(self) -> None:
        self.title = ""
        self.records: list[Record] = []
        self._heading = ""
        self._record: Record | None = None
        self._field: str | None = None

    def heading(self, text: str, tag: str) -> None:
        if tag == "h1" and not self.title:
            self.title = text
        self._heading, self._record, self._field = text, None, None

    def block(self, content: str, within_list: bool) -> None:
        """Read a paragraph or a list item: fields, the items of the field above, or prose."""
        is_first = True
        for line in content.split("\n"):
            if line.lstrip().startswith(("```", "~~~")):
                self._field = None
                continue
            bullet = _BULLET.match(line)
            line = line[bullet.end() if bullet else 0 :][:LONGEST_TEXT]
            plain = _plain(line)
            named = field_of(plain)
            if named is not None and named[0] != "heading":
                self._begin(*named)
            elif self._field is None or self._record is None:
                continue
            elif _UNKNOWN_FIELD.match(line) or (is_first and not within_list):
                self._field = None
            elif is_first or bullet is not None:
                self._record.fields[self._field].append(plain)
            else:
                items = self._record.fields[self._field]
                items[-1:] = [" ".join([*items[-1:], plain])]
            is_first = False

    def table(self, tokens: Sequence[Token]) -> None:
        """Read a table whose columns are the fields, or a column of items in the place of a list."""
        rows: list[list[str]] = []
        for token in tokens:
            if token.type == "tr_open":
                rows.append([])
            elif token.type == "inline":
                rows[-1].append(_plain(token.content[:LONGEST_TEXT]))
        names = [named[0] if (named := field_of(f"{cell}:")) else None for cell in rows[0]]
        if "part" in names:
            for row in rows[1:]:
                cells = [(name, cell) for name, cell in zip(names, row, strict=False) if name]
                heading = next((cell for name, cell in cells if name == "heading"), self._heading)
                fields = {name: [cell] for name, cell in cells if name != "heading" and cell}
                self.records.append(Record(heading, fields))
        elif self._field is not None and self._record is not None:
            if len(rows[0]) == 1:
                self._record.fields[self._field].extend(row[0] for row in rows[1:])
            else:
                self._record.problem = (
                    f"its {self._field} is a table of {len(rows[0])} columns; "
                    "allowed: a list, or one column"
                )
        self._field = None

    def _begin(self, name: str, text: str) -> None:
        if self._record is None or name in self._record.fields:
            self._record = Record(self._heading)
            self.records.append(self._record)
        self._field = name
        self._record.fields[name] = [text] if text else []


def _plain(text: str) -> str:
    """Return the text of one line of Markdown, without its marks and tags."""
    parts = []
    for token in _INLINE.parseInline(text[:LONGEST_TEXT])[0].children or []:
        parts.append(token.content if token.type in ("text", "code_inline", "text_special") else "")
    return " ".join("".join(parts).split())


def _without(text: str, start: str, end: str) -> str:
    """Leave out what stands between two marks; what is never closed stays."""
    kept, position, lower = [], 0, text.lower()
    while (opened := lower.find(start, position)) >= 0:
        closed = lower.find(end, opened)
        if closed < 0:
            break
        kept.append(text[position:opened])
        position = closed + len(end)
    return "".join([*kept, text[position:]])
