"""Tensors and plain values in one safetensors file that shows whether it is whole."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save, save_file
from torch import Tensor

_CONTENT = "content_sha256"
_PLAIN = "plain"
_TENSOR = "$tensor"


class DamagedTensorsError(ValueError):
    """A file does not hold what was written there."""


def write_tensors(tree: Mapping[str, Any], file: Path) -> None:
    """Write nested mappings and lists of tensors and plain values.

    Args:
        tree: Keys are texts; a tuple is read back as a list, a tensor on the CPU.
        file: Where to; not atomic by itself.

    Raises:
        OSError: If it cannot be written.
    """
    tensors: dict[str, Tensor] = {}
    plain = json.dumps(_without_tensors(tree, tensors))
    metadata = {_PLAIN: plain, _CONTENT: _digest(plain, tensors)}
    try:
        save_file(tensors, file, metadata)
    except SafetensorError as error:
        raise OSError(f"{file} cannot be written: {error}") from error


def read_tensors(file: Path) -> dict[str, Any]:
    """Read what `write_tensors` has written.

    Raises:
        DamagedTensorsError: If it holds anything else.
    """
    try:
        with safe_open(file, framework="pt") as opened:
            metadata = opened.metadata() or {}
            # Copies: the file may be replaced while they are in use.
            tensors = {name: opened.get_tensor(name).clone() for name in opened.keys()}  # noqa: SIM118  # not a mapping
        plain = metadata[_PLAIN]
        if metadata[_CONTENT] != _digest(plain, tensors):
            raise DamagedTensorsError("its content has changed since it was written")
        tree: dict[str, Any] = _with_tensors(json.loads(plain), tensors)
    except (SafetensorError, OSError, KeyError, json.JSONDecodeError) as error:
        raise DamagedTensorsError(" ".join(str(error).split())) from error
    return tree


def tensors_digest(tensors: Mapping[str, Tensor]) -> str:
    """Hash tensors by name, type, shape and content."""
    digest = hashlib.sha256(json.dumps(sorted(tensors)).encode())
    for name in sorted(tensors):
        digest.update(save({name: tensors[name].contiguous()}))
    return digest.hexdigest()


def _digest(plain: str, tensors: Mapping[str, Tensor]) -> str:
    return hashlib.sha256(f"{plain} {tensors_digest(tensors)}".encode()).hexdigest()


def _without_tensors(value: Any, tensors: dict[str, Tensor]) -> Any:  # noqa: ANN401  # any JSON value
    """Put a number in the place of every tensor, which goes to `tensors` under it."""
    if isinstance(value, Tensor):
        name = str(len(tensors))
        # A copy: safetensors refuses tensors that share memory.
        tensors[name] = value.detach().to("cpu", copy=True).contiguous()
        return {_TENSOR: name}
    if isinstance(value, Mapping):
        return {key: _without_tensors(part, tensors) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_without_tensors(part, tensors) for part in value]
    return value


def _with_tensors(value: Any, tensors: Mapping[str, Tensor]) -> Any:  # noqa: ANN401  # any JSON value
    if isinstance(value, dict):
        if value.keys() == {_TENSOR}:
            return tensors[value[_TENSOR]]
        return {key: _with_tensors(part, tensors) for key, part in value.items()}
    if isinstance(value, list):
        return [_with_tensors(part, tensors) for part in value]
    return value
