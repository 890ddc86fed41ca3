"""The files a model is made of: found, named, hashed and opened before any weight is loaded."""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from transformers.utils.hub import cached_file

from ablate.config.errors import ConfigError
from ablate.config.schema import ModelConfig
from ablate.models.hub import INDEX, WEIGHTS, cached_commit, check_cached, unavailable
from ablate.models.remembered import is_remembered, remembered
from ablate.models.settings import check_settings, read_object
from ablate.results.files import sha256_of

SHIPPED = "tiny:"
SHIPPED_FOLDER = Path(__file__).parent / "tiny"
MODEL_KEYS = "model.llava, model.clip or model.language"


def locate(name: str) -> str:
    """Turn a configured model name into what `from_pretrained` takes: `tiny:` names a folder inside the package."""
    if name.startswith(SHIPPED):
        return str(SHIPPED_FOLDER / name.removeprefix(SHIPPED))
    return name


def full_name(name: str, revision: str | None) -> str:
    """Say where a model comes from: `tiny:...`, the whole path of a folder, or a hub id with its commit.

    The commit is that of the files in the cache, also where no revision was given: what is the latest may change.
    """
    if name.startswith(SHIPPED):
        return name
    if Path(name).is_dir():
        return str(Path(name).resolve())
    commit = cached_commit(name, revision) or revision
    return name if commit is None else f"{name}@{commit}"


def model_source(model: ModelConfig) -> str:
    """Say where the vision-language model of a configuration comes from, or its language model if that is all."""
    return full_name(str(model.llava or model.language), model.revision)


@lru_cache
def read_config(name: str, revision: str | None, keys: str = MODEL_KEYS) -> dict[str, Any]:
    """Read a model's config.json, and see that no settings beside it are damaged or name code to run.

    Args:
        name: Folder or hub id.
        revision: Hub revision.
        keys: The configuration keys that such a name is given in, for the error's text.

    Raises:
        ConfigError: If there is no such model, here or on the hub, or if its settings cannot be used.
    """
    place = locate(name)
    is_path = place.startswith((".", "~")) or Path(place).is_absolute()
    if is_path and not (Path(place) / "config.json").is_file():
        raise ConfigError(
            f"Model folder {place} has no config.json. "
            f"Fix: give a saved model's folder, or a hub id, in {keys}."
        )
    file = _config_file(name, revision, keys)
    check_settings(name, place, revision)
    return read_object(file)


def _config_file(name: str, revision: str | None, keys: str) -> Path:
    """Return the config.json of a model, fetched if need be.

    Raises:
        ConfigError: If it cannot be had; the line says why.
    """
    try:
        file = cached_file(locate(name), "config.json", revision=revision)
    except (OSError, ValueError) as error:
        raise unavailable(name, revision, keys, error) from error
    if file is None:
        raise ConfigError(
            f"Model '{name}' has no config.json. "
            f"Fix: give a saved model's folder, or a hub id, in {keys}."
        )
    return Path(file)


def weight_files(name: str) -> list[Path]:
    """List the weight files that are loaded of a local model: one, or those that its index names.

    Raises:
        ConfigError: If there are none, or if index and files contradict each other; the line names them.
    """
    folder = Path(locate(name))
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    index = folder / INDEX
    if not index.is_file():
        raise ConfigError(
            f"Model folder {folder} holds no .safetensors weights, neither {WEIGHTS} nor {INDEX}. "
            "Fix: save the model there."
        )
    held_by = read_object(index)
    shard_of = held_by.get("weight_map")
    if not isinstance(shard_of, dict) or not shard_of or "metadata" not in held_by:
        raise ConfigError(f"{index} has no weight_map or no metadata. Fix: save the model again.")
    files = []
    for shard in sorted({str(shard) for shard in shard_of.values()}):
        if Path(shard).name != shard or not (folder / shard).is_file():
            raise ConfigError(
                f"{index} names the file '{shard}', which is not beside it. Fix: download or save the model again."
            )
        files.append(folder / shard)
    shapes = {file: tensor_shapes(file) for file in files}
    indexed = {(tensor, str(shard)) for tensor, shard in shard_of.items()}
    held = {(tensor, file.name) for file in files for tensor in shapes[file]}
    for tensor, shard in sorted(indexed ^ held):
        raise ConfigError(
            f"{index} and its files contradict each other: tensor '{tensor}' is only in "
            f"{'the index' if (tensor, shard) in indexed else shard}. Fix: download or save the model again."
        )
    return files


@lru_cache
def check_files(name: str, revision: str | None, keys: str = MODEL_KEYS) -> None:
    """Check the weight files of one model: of a folder of this machine, that they are whole, finite, and as shipped.

    Reads every tensor once: 0.1 s per GB from the page cache, less than its hash takes. The files of a hub model only
    have to be there if they cannot be fetched.

    Args:
        name: Folder or hub id.
        revision: Hub revision.
        keys: The configuration keys that it is given in, for the error's text.

    Raises:
        ConfigError: If a file is damaged or missing; the line names it.
    """
    if not Path(locate(name)).is_dir():
        check_cached(name, revision, keys)
        return
    for file in weight_files(name):
        _check_file(file)


def tensor_shapes(file: Path) -> dict[str, list[int]]:
    """Read names and shapes of a weight file's tensors from its header.

    Raises:
        ConfigError: If the file is damaged.
    """
    try:
        with safe_open(file, framework="pt") as tensors:
            return {name: tensors.get_slice(name).get_shape() for name in tensors.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ConfigError(
            f"Weights file {file} is damaged ({error}). Fix: download or build it again."
        ) from error


def is_finite(tensor: torch.Tensor) -> bool:
    """Tell whether a tensor has neither NaN nor infinity; ten times faster than `isfinite().all()`."""
    if not tensor.is_floating_point() or tensor.numel() == 0:
        return True
    if tensor.element_size() == 1:
        tensor = tensor.float()  # torch has no minimum of 8-bit floats
    low, high = torch.aminmax(tensor)
    return bool(torch.isfinite(low) & torch.isfinite(high))


def _check_file(file: Path) -> None:
    tensor_shapes(file)
    if file.is_relative_to(SHIPPED_FOLDER):
        expected = read_object(SHIPPED_FOLDER / "sha256.json")
        given = remembered("sha256", file, sha256_of)
        if given != expected.get(file.relative_to(SHIPPED_FOLDER).as_posix()):
            raise ConfigError(
                f"Weights file {file} is damaged (its hash is not the shipped one). "
                f"Fix: reinstall ablate-vlm."
            )
    remembered("finite", file, _check_finite)


def _check_finite(file: Path) -> str:
    with safe_open(file, framework="pt") as tensors:
        for name in tensors.keys():  # noqa: SIM118  # not a mapping
            if not is_finite(tensors.get_tensor(name)):
                raise ConfigError(
                    f"Weights file {file} holds NaN or infinity in '{name}'. Fix: train or download the model again."
                )
    return "yes"


def fingerprint(name: str, revision: str | None) -> str:
    """Hash what identifies a model's weights, wherever they are stored.

    A local folder is identified by its config and the content of its weight files, a hub model by
    its id and revision.
    """
    folder = Path(locate(name))
    digest = hashlib.sha256()
    if not folder.is_dir():
        digest.update(f"{name}@{revision}".encode())
        return digest.hexdigest()
    for file in _identifying(folder):
        digest.update(file.name.encode())
        digest.update(bytes.fromhex(remembered("sha256", file, sha256_of)))
    return digest.hexdigest()


def unhashed_bytes(name: str) -> int:
    """Count what `fingerprint` would have to read of a model: nothing of a hub's, or of one hashed before."""
    folder = Path(locate(name))
    files = _identifying(folder) if folder.is_dir() else []
    return sum(file.stat().st_size for file in files if not is_remembered("sha256", file))


def _identifying(folder: Path) -> list[Path]:
    patterns = ("*.json", "*.txt", "*.model", "*.safetensors")
    return sorted(path for pattern in patterns for path in folder.glob(pattern))
