"""An outcome as an ablation file: what is sure as YAML, what is not as comments with the candidates."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from yaml.reader import Reader

from ablate.config.errors import ConfigError, one_line
from ablate.plans.draft import Draft
from ablate.plans.outcome import Outcome
from ablate.plans.plan import Plan, PlannedAblation
from ablate.plans.values import Doubt
from ablate.plans.vocabulary import vocabulary

_LONGEST_TEXT = 160
_QUESTIONS = {
    "REPLACE": "{part}: what do other values change?",
    "REMOVE": "{part}: is it needed?",
    "ADD": "{part}: does it help?",
}


def ablation_file(outcome: Outcome, plan: Plan) -> str:
    """Write an ablation file in the shape of configs/ablation.

    Args:
        outcome: An outcome with at least one draft.
        plan: The plan, for the source.

    Returns:
        YAML. Where it is not sure what is varied, all of it is commented: one block for each candidate.
    """
    lines = ["# @package _global_", f"# Imported from {_quoted(plan.file)} by `ablate import`."]
    if outcome.doubt is None:
        lines += [_comment(f"To be chosen: {reason}") for reason in outcome.reasons]
        return "\n".join([*lines, *_body(outcome, outcome.drafts[0], plan), ""])
    lines.append(_comment(f"To be chosen: {outcome.reasons[0]}"))
    lines.append("# Uncomment the block that is meant.")
    for draft in outcome.drafts:
        lines += ["", _comment(f"--- {draft.key} ---")]
        lines += [_comment(f"To be chosen: {reason}") for reason in draft.choices]
        lines += [f"# {line}" for line in _body(outcome, draft, plan)]
    return "\n".join([*lines, ""])


def check_place(folder: Path, files: Mapping[str, str]) -> None:
    """Refuse to write over files of another content: a choice may have been made in them.

    Raises:
        ConfigError: If one is there, or the place is not a folder.
    """
    for place in (folder, folder / "ablation"):
        if place.exists() and not place.is_dir():
            raise ConfigError(f"{place} is not a folder. Fix: --to FOLDER.")
    for name, text in files.items():
        path = _path(folder, name)
        try:
            if path.is_symlink() or (path.exists() and path.read_bytes() != text.encode()):
                raise ConfigError(
                    f"{path} is there already, with another content. Fix: remove it, or --to ELSEWHERE."
                )
        except OSError as error:
            raise ConfigError(
                f"{path} cannot be read ({error.strerror}). Fix: --to FOLDER."
            ) from error


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    """Write ablation files below a config folder.

    Raises:
        ConfigError: If they cannot be written.
    """
    check_place(folder, files)
    try:
        (folder / "ablation").mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            _path(folder, name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"{error.filename or folder} cannot be written ({error.strerror}). Fix: --to FOLDER."
        ) from error


def _path(folder: Path, name: str) -> Path:
    return folder / "ablation" / f"{name}.yaml"


def _body(outcome: Outcome, draft: Draft, plan: Plan) -> list[str]:
    settings = draft.settings
    keys = dict(settings.keys)
    seeds = keys.pop("seeds", list(vocabulary().seeds))
    lines = []
    if settings.groups:
        lines.append("defaults:")
        lines += [f"  - override /{g}: {_plain(c)}" for g, c in settings.groups.items()]
    lines.append(f"seeds: {_plain(seeds)}")
    lines += _dumped(_nested(keys)) if keys else []
    return [*lines, *_ablation(outcome, draft, plan, seeds)]


def _ablation(outcome: Outcome, draft: Draft, plan: Plan, seeds: object) -> list[str]:
    planned = outcome.planned
    question = _QUESTIONS[str(outcome.action)].format(part=_short(planned.part))
    n_runs = len(draft.values) * (len(seeds) if isinstance(seeds, list) else 1)
    columns = draft.measured
    lines = [
        "ablation:",
        f"  name: {outcome.name}",
        f"  question: {_quoted(question)}",
        f"  key: {draft.key}",
        _values(draft),
        *_doubts(draft.doubts),
        *([f"  {_comment(draft.note)}"] if draft.note else []),
    ]
    if draft.baseline is None:
        lines.append("  # baseline: one of the values")
    else:
        lines.append(f"  baseline: {_plain(draft.baseline)}  {_comment(draft.because)}")
    if columns.columns:
        lines.append(f"  metrics: {_plain(list(columns.columns))}")
    else:
        lines.append(f"  # metrics: {_plain(list(columns.candidates))}")
    return [
        *lines,
        *_doubts(columns.doubts),
        f"  source: {_quoted(_source(planned, plan))}",
        f"  cost: {n_runs} runs",
        "  value: null",
    ]


def _values(draft: Draft) -> str:
    """Write the values; a single one is nothing to compare, and `ablate run` refuses the file until there are more."""
    values = _plain(list(draft.values))
    return f"  values: {values}" if len(draft.values) > 1 else f"  # values: {values} and others"


def _source(planned: PlannedAblation, plan: Plan) -> str:
    heading = f', "{_short(planned.heading)}"' if planned.heading else ""
    title = f" ({_short(plan.title)})" if plan.title and plan.title != planned.heading else ""
    return f"{_short(plan.file)}{heading}{title}"


def _doubts(doubts: Iterable[Doubt]) -> list[str]:
    lines = []
    for doubt in doubts:
        candidates = ", ".join(map(str, doubt.candidates))
        end = f"; candidates: {candidates}" if candidates else ""
        lines.append(f"  # {_quoted(_short(doubt.text))}: {_comment(doubt.reason)[2:]}{end}")
    return lines


def _short(text: str) -> str:
    """Write a plan's text as one line of bounded length."""
    line = one_line(text)
    return line if len(line) <= _LONGEST_TEXT else f"{line[: _LONGEST_TEXT - 3]}..."


def _quoted(text: str) -> str:
    r"""Write a text so that YAML and OmegaConf read it as that text: quoted, and without interpolation.

    A backslash in front of `${` escapes it, so that those in front are doubled.
    """
    escaped = re.sub(r"(\\*)\$\{", lambda match: match[1] * 2 + "\\${", one_line(text))
    dumped = yaml.safe_dump(escaped, default_style='"', allow_unicode=True, width=1 << 20)
    return dumped.rstrip("\n")


def _comment(text: str) -> str:
    """Write a text as a comment that ends where its line ends, of characters that YAML may hold."""
    return f"# {Reader.NON_PRINTABLE.sub('?', one_line(text))}"


def _plain(value: object) -> str:
    """Write a value or a list of values in one line."""
    if isinstance(value, list):
        return f"[{', '.join(map(_plain, value))}]"
    dumped = yaml.safe_dump(value, default_flow_style=True, width=1 << 20)
    return dumped.removesuffix("\n").removesuffix("\n...")


def _nested(keys: Mapping[str, Any]) -> dict[str, Any]:
    """Turn dotted keys into mappings of mappings."""
    nested: dict[str, Any] = {}
    for key, value in keys.items():
        node = nested
        *parents, last = key.split(".")
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = value
    return nested


def _dumped(values: Mapping[str, Any]) -> Sequence[str]:
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=1 << 20).splitlines()
