"""Copies of a model's folder with one thing wrong."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

TEMPLATE = (
    "{% for message in messages %}{% if message['role'] != 'system' %}{{ message['role'].upper() + ': ' }}{% endif %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>\n' }}{% endfor %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}{{ content['text'] + ' ' }}"
    "{% endfor %}{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)
"""That of llava-hf/llava-1.5-7b-hf, but for the marks around what an assistant generates."""


def copy(folder: Path, to: Path, change: Callable[[Path], None] = lambda _: None) -> Path:
    """Copy a model and change the copy."""
    shutil.copytree(folder, to)
    change(to)
    return to


def written(filename: str, text: str | bytes) -> Callable[[Path], None]:
    """Replace a file."""
    content = text if isinstance(text, bytes) else text.encode()
    return lambda folder: _write(folder / filename, content)


def without(*filenames: str) -> Callable[[Path], None]:
    """Remove files."""

    def remove(folder: Path) -> None:
        for filename in filenames:
            (folder / filename).unlink()

    return remove


def with_values(filename: str, **values: Any) -> Callable[[Path], None]:
    """Set keys of a JSON file; `a__b` is key `b` of `a`."""

    def change(folder: Path) -> None:
        file = folder / filename
        content = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        for key, value in values.items():
            *outer, last = key.split("__")
            place = content
            for name in outer:
                place = place[name]
            place[last] = value
        file.write_text(json.dumps(content), encoding="utf-8")

    return change


def with_tensors(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    """Change the tensors of the weights file."""

    def write(folder: Path) -> None:
        file = folder / "model.safetensors"
        tensors = load_file(file)
        change(tensors)
        save_file({name: t.contiguous() for name, t in tensors.items()}, file, {"format": "pt"})

    return write


def sharded(folder: Path) -> None:
    """Split the weights file into two with an index."""
    file = folder / "model.safetensors"
    tensors = load_file(file)
    names = sorted(tensors)
    shards = {"a.safetensors": names[: len(names) // 2], "b.safetensors": names[len(names) // 2 :]}
    for shard, held in shards.items():
        save_file({name: tensors[name] for name in held}, folder / shard, {"format": "pt"})
    weight_map = {name: shard for shard, held in shards.items() for name in held}
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {}, "weight_map": weight_map})
    )
    file.unlink()


def _write(file: Path, content: bytes) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content)
