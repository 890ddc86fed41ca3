"""A plan's file: Markdown, YAML, JSON or JSON lines, read within bounds."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from omegaconf import OmegaConf

from ablate.config.errors import ConfigError, nearest
from ablate.config.yaml_file import parse, read_text
from ablate.plans.markdown import Record, field_of, read_markdown
from ablate.plans.plan import Plan, PlannedAblation
from ablate.plans.vocabulary import vocabulary
from ablate.plans.words import LONGEST_TEXT

_MARKDOWN, _YAML, _JSON = (".md", ".markdown", ".txt"), (".yaml", ".yml"), (".json", ".jsonl")
# More is no plan; the parser takes a second for as many lines.
_MOST_LINES = 20_000
_MOST_ABLATIONS = 200
_MOST_DEPTH = 8
# Not inside parentheses: "accuracy (top 1, top 5)" is one metric.
_SEPARATOR = re.compile(r"[,;\n](?![^(]*\))")


def read_plan(path: Path) -> Plan:
    """Read a plan.

    Raises:
        ConfigError: If the file cannot be read, or holds no ablation.
    """
    text = read_text(path)
    if text.count("\n") > _MOST_LINES:
        raise ConfigError(
            f"{path} has more than {_MOST_LINES} lines, which is no ablation plan. Fix: give the plan alone."
        )
    suffix = path.suffix.lower()
    if suffix in _MARKDOWN:
        title, records = read_markdown(text)
    elif suffix in (*_YAML, *_JSON):
        content = _from_json(text, path) if suffix in _JSON else _from_yaml(text, path)
        title, records = _title(content), [_record(entry) for entry in _entries(content, 0)]
    else:
        allowed = (*_MARKDOWN, *_YAML, *_JSON)
        match = nearest(suffix, allowed)
        hint = f" Did you mean '{match}'?" if match else ""
        raise ConfigError(f"{path} ends in '{suffix}'.{hint} Allowed: {', '.join(allowed)}.")
    if not records:
        raise ConfigError(
            f"{path} holds no ablation. Fix: for each one a heading, and below it the fields Ablated Part, Action, "
            "Replacement and Metrics."
        )
    if len(records) > _MOST_ABLATIONS:
        raise ConfigError(
            f"{path} holds {len(records)} ablations; allowed: {_MOST_ABLATIONS}. Fix: split the file."
        )
    return Plan(path.name, title, tuple(_planned(record) for record in records))


def _from_yaml(text: str, path: Path) -> object:
    return OmegaConf.to_container(parse(text, path), resolve=False)


def _from_json(text: str, path: Path) -> object:
    lines = [line for line in text.splitlines() if line.strip()]
    try:
        if path.suffix.lower() == ".jsonl":
            return [json.loads(line) for line in lines]
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = str(error).partition("\n")[0]
        raise ConfigError(f"{path} is not JSON: {reason}. Fix: correct that line.") from error


def _entries(content: object, depth: int) -> Iterator[Mapping[object, object]]:
    """Yield the ablations of nested lists and mappings: the mappings that have a field of a plan."""
    if depth > _MOST_DEPTH:
        return
    if isinstance(content, list):
        for entry in content:
            yield from _entries(entry, depth + 1)
    elif isinstance(content, Mapping):
        names = {_name(key) for key in content}
        if {"part", "action"} & names:
            yield content
        else:
            for entry in content.values():
                yield from _entries(entry, depth + 1)


def _name(key: object) -> str | None:
    named = field_of(f"{key}:")
    return named[0] if named else None


def _title(content: object) -> str:
    title = content.get("title", "") if isinstance(content, Mapping) else ""
    return title[:LONGEST_TEXT] if isinstance(title, str) else ""


def _record(entry: Mapping[object, object]) -> Record:
    """Read one ablation of a YAML or JSON file."""
    record = Record("")
    for key, value in entry.items():
        name = _name(key)
        items = value if isinstance(value, list) else [value]
        wrong = [item for item in items if isinstance(item, list | Mapping)]
        if name is None:
            continue
        if wrong:
            record.problem = (
                f"its {name} holds a {type(wrong[0]).__name__}; allowed: a text or a list of texts"
            )
            continue
        texts = [_text(item) for item in items if item is not None]
        if name == "heading":
            record.heading = record.heading or " ".join(texts)
        else:
            record.fields[name] = texts
    return record


def _text(item: object) -> str:
    return (str(item).lower() if isinstance(item, bool) else str(item))[:LONGEST_TEXT]


def _planned(record: Record) -> PlannedAblation:
    """Tidy one ablation's fields."""
    table = vocabulary()
    part = " ".join(record.fields.get("part", []))
    action = " ".join(record.fields.get("action", []))
    missing = [n for n, text in (("Ablated Part", part), ("Action", action)) if not text.strip()]
    problem = record.problem or (f"it has no {' and no '.join(missing)}" if missing else None)
    replacements = [
        one for one in record.fields.get("replacement", []) if not table.is_nothing(one)
    ]
    metrics = [
        one.strip()
        for item in record.fields.get("metrics", [])
        for one in _SEPARATOR.split(item)
        if not table.is_nothing(one)
    ]
    return PlannedAblation(
        record.heading, part, action, tuple(replacements), tuple(metrics), problem
    )
