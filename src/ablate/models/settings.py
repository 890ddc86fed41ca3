"""The JSON files beside a model's weights: whole, and naming no code that would run on this machine."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from transformers.utils.hub import cached_file

from ablate.config.errors import ConfigError

SETTINGS = (
    "config.json",
    "generation_config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "preprocessor_config.json",
    "processor_config.json",
    "chat_template.json",
)
# A model's own Python file, or a pipeline or `generate` of its own.
_CODE = ("auto_map", "custom_generate", "custom_pipelines")
# `owner/name` here is a compiled kernel that transformers would fetch and load.
_KERNELS = ("attn_implementation", "_attn_implementation", "experts_implementation")
_CODE_FILE = "custom_generate/generate.py"
# Makes `from_pretrained` load the model that it names instead, and change it.
_ADAPTER = "adapter_config.json"


def read_object(file: Path) -> dict[str, Any]:
    """Read a JSON file that holds an object.

    Raises:
        ConfigError: If it cannot be read, is not JSON, or holds something else.
    """
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise ConfigError(f"{file} is nested too deeply. Fix: save the model again.") from error
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{file} is not JSON ({one_line(error)}). Fix: save the model again."
        ) from error
    if not isinstance(values, dict):
        raise ConfigError(
            f"{file} holds a {type(values).__name__}; allowed: a JSON object. Fix: save the model again."
        )
    return values


def check_settings(name: str, place: str, revision: str | None) -> None:
    """Check every settings file of a model, and refuse a model that brings code.

    Args:
        name: The model as it was given.
        place: Its folder or hub id.
        revision: Its hub revision.

    Raises:
        ConfigError: If a file is damaged, or the model is more than weights and their settings.
    """
    for filename in SETTINGS:
        file = find(place, filename, revision)
        if file is None:
            continue
        for key, value in _entries(read_object(file)):
            is_kernel = key in _KERNELS and "/" in str(value)
            if (key in _CODE and value) or is_kernel:
                raise ConfigError(
                    f"Model '{name}' brings code of its own: '{key}' in its {filename}; allowed: models that "
                    f"transformers itself knows, since a model's own code is never run. Fix: use such a model, or "
                    f"remove '{key}'."
                )
    if find(place, _CODE_FILE, revision) is not None:
        raise ConfigError(
            f"Model '{name}' brings code of its own: {_CODE_FILE}, which is never run. Fix: remove that file."
        )
    if find(place, _ADAPTER, revision) is not None:
        raise ConfigError(
            f"Model '{name}' holds an adapter ({_ADAPTER}), which would change another model's weights. "
            "Fix: merge the adapter into its model and give that model's folder."
        )


def find(place: str, filename: str, revision: str | None) -> Path | None:
    """Return a file of a folder or hub model, fetched if need be; None where there is none."""
    if Path(place).is_dir():
        file = Path(place) / filename
        return file if file.is_file() else None
    found = cached_file(
        place,
        filename,
        revision=revision,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
    )
    return None if found is None else Path(found)


@contextmanager
def readable(what: str, fix: str) -> Iterator[None]:
    """Turn whatever transformers raises over a damaged model into one line.

    Raises:
        ConfigError: If anything was raised.
    """
    try:
        yield
    except (ConfigError, MemoryError):
        raise
    except Exception as error:  # a damaged file makes transformers raise anything
        raise ConfigError(f"{what}: {one_line(error)}. Fix: {fix}") from error


def one_line(error: BaseException) -> str:
    """Return an error's text in one line of at most 300 characters, without a full stop."""
    words = " ".join(str(error).split()) or type(error).__name__
    return (words if len(words) <= 300 else f"{words[:300]}...").rstrip(".")


def _entries(values: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401
    """List every key and value at any depth, without recursion: files may be nested as deep as JSON allows."""
    waiting = [values]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield from ((str(key), inner) for key, inner in value.items())
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
