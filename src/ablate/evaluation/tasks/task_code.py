"""What lm-evaluation-harness would run as code from a task file of the user's, found without running any of it."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from ablate.config.text import printable

# The loader that lm-eval 0.4.13 reads task files with (lm_eval/tasks/_yaml_loader.py), so that both see the same.
_Base: Any = yaml.CSafeLoader if getattr(yaml, "__with_libyaml__", False) else yaml.FullLoader


def code_in(file: Path, values: Mapping[str, Any]) -> str | None:
    """Look for code that a task file, or one that it includes, makes lm-eval import or run.

    That is a `!function` or any other tag, a `class`, a metric that lm-eval does not have (it would
    load one of that name from the hub or a folder), and data that come with a loading script.
    Files of lm-eval itself may name functions of its own.

    Args:
        file: The task file.
        values: What lm-eval's index has read from it and all that it includes.

    Returns:
        What it is and where, or None.
    """
    import lm_eval.tasks

    own = Path(lm_eval.tasks.__file__).resolve().parent
    for part, tags in _with_included(file.expanduser().resolve(), set()):
        if tags and not part.is_relative_to(own):
            return f"{tags[0]} in '{printable(str(part))}'"
    found = _in_values(values)
    return f"{found} in '{printable(str(file))}'" if found else None


@contextlib.contextmanager
def sandboxed(is_on: bool) -> Iterator[None]:
    """Keep templates of task files from reaching into Python, as Jinja's sandbox does.

    lm-eval renders `doc_to_text` and its like in a plain Jinja environment, where
    `{{ ''.__class__... }}` leads to everything that can be imported.

    Args:
        is_on: Do it; else do nothing.
    """
    import lm_eval.utils
    from jinja2.sandbox import SandboxedEnvironment

    plain = lm_eval.utils.env
    if is_on:
        safe = SandboxedEnvironment(
            loader=plain.loader,
            undefined=plain.undefined,
            keep_trailing_newline=plain.keep_trailing_newline,
        )
        safe.filters.update(plain.filters)
        lm_eval.utils.env = safe
    try:
        yield
    finally:
        lm_eval.utils.env = plain


def _with_included(file: Path, seen: set[Path]) -> Iterator[tuple[Path, list[str]]]:
    """Yield a task file and all that it includes, each with its tags that are not plain YAML."""
    if file in seen:
        return
    seen.add(file)
    tags: list[str] = []

    class Loader(_Base):  # type: ignore[misc]
        """Reads what lm-eval reads, and keeps the tags instead of following them."""

    def keep(_: object, node: yaml.Node) -> None:
        tags.append(printable(f"{node.tag} {node.value}" if _is_scalar(node) else node.tag))

    Loader.add_constructor(None, keep)
    content = yaml.load(file.read_bytes(), Loader=Loader)
    yield file, tags
    included = content.get("include", []) if isinstance(content, dict) else []
    for name in included if isinstance(included, list) else [included]:
        if isinstance(name, str):
            yield from _with_included((file.parent / name).resolve(), seen)


def _is_scalar(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode)


def _in_values(values: Mapping[str, Any]) -> str | None:
    """Look for code that a task names without a tag."""
    from lm_eval.api import metrics
    from lm_eval.api.registry import METRIC_REGISTRY

    del metrics  # imported because that fills the registry
    if "class" in values:
        return f"class: {printable(str(values['class']))}"
    # A task that computes its results itself loads no metric.
    named = values.get("metric_list") if values.get("process_results") is None else None
    for metric in named if isinstance(named, list) else []:
        name = metric.get("metric")
        if metric.get("hf_evaluate") or str(name) not in METRIC_REGISTRY:
            return f"metric: {printable(str(name))}, which is not one of lm-eval's own,"
    path = str(values.get("dataset_path") or "")
    if path.endswith(".py"):
        return f"dataset_path: {printable(path)}"
    kwargs = values.get("dataset_kwargs")
    if isinstance(kwargs, dict) and kwargs.get("trust_remote_code"):
        return "dataset_kwargs: trust_remote_code"
    return None
