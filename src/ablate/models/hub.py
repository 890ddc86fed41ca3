"""Models of the hub: which commit is meant, and, where one cannot be had, why and what to download where."""

import re
from pathlib import Path
from typing import Any

from huggingface_hub import constants, try_to_load_from_cache
from huggingface_hub.errors import (
    GatedRepoError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from ablate.config.errors import ConfigError
from ablate.models.settings import one_line, read_object

_COMMIT = re.compile(r"[\\/]snapshots[\\/]([0-9a-f]{40})[\\/]")
_PICKLE = "pytorch_model.bin"
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"


def cached_commit(name: str, revision: str | None) -> str | None:
    """Return the commit that a model's files in the hub's cache are of; None if it is not there."""
    found = _COMMIT.search(str(_cached(name, "config.json", revision)))
    return found[1] if found else None


def check_cached(name: str, revision: str | None, keys: str) -> None:
    """Check, where the hub must not be asked (HF_HUB_OFFLINE), that a model's weights are in its cache.

    Args:
        name: Its hub id.
        revision: Its hub revision.
        keys: The configuration keys that it is given in, for the error's text.

    Raises:
        ConfigError: If a weight file is not there; the line says what to download.
    """
    if not constants.is_offline_mode() or _cached(name, WEIGHTS, revision) is not None:
        return
    index = _cached(name, INDEX, revision)
    if index is None and _cached(name, _PICKLE, revision) is not None:
        raise _no_safetensors(name, revision, keys)
    if index is None:
        raise _offline(name, revision, keys, f"neither {WEIGHTS} nor {INDEX} is")
    shards = read_object(index).get("weight_map", {}).values()
    for shard in sorted({str(shard) for shard in shards}):
        if _cached(name, shard, revision) is None:
            raise _offline(name, revision, keys, f"its {shard} is not")


def unavailable(name: str, revision: str | None, keys: str, error: BaseException) -> ConfigError:
    """Explain why transformers could not get a model.

    Args:
        name: Its hub id, or what was given as one.
        revision: Its hub revision.
        keys: The configuration keys that it is given in.
        error: What transformers raised.
    """
    folder = f"give a folder in {keys}"
    match _cause(error):
        case GatedRepoError():
            return ConfigError(
                f"Model '{name}' is gated: its owner decides who may download it, and this machine is not logged in as "
                f"someone who may. Fix: ask on https://huggingface.co/{name}, then `hf auth login`; or {folder}."
            )
        case RepositoryNotFoundError():
            return ConfigError(
                f"There is no folder '{name}' here and no model '{name}' on the hub; a private one looks the same to "
                f"whoever may not see it. Fix: check its name, `hf auth login` if it is private, or {folder}."
            )
        case RevisionNotFoundError():
            return ConfigError(
                f"Model '{name}' has no revision '{revision}' on the hub. "
                f"Fix: give one of https://huggingface.co/{name}/commits/main, or null for the latest."
            )
        case HFValidationError():
            return ConfigError(
                f"There is no folder '{name}' here, and a hub id looks like owner/name. "
                f"Fix: give a folder or a hub id in {keys}."
            )
        case LocalEntryNotFoundError():
            return _offline(name, revision, keys, "it is not")
    if "safetensors" in str(error):
        return _no_safetensors(name, revision, keys)
    return ConfigError(
        f"Model '{name}' cannot be had: {one_line(error)}. Fix: try again, or {folder}."
    )


def _no_safetensors(name: str, revision: str | None, keys: str) -> ConfigError:
    """Say how to make safetensors of a pickle."""
    kinds = "(AutoModel, AutoProcessor)"
    return ConfigError(
        f"Model '{name}' has no safetensors at revision '{revision or 'main'}', and pickles are never read. "
        f"Fix: if you trust it, save it again and give that folder in {keys}: "
        'python -c "from transformers import AutoModel, AutoProcessor; '
        f"[kind.from_pretrained('{name}').save_pretrained('FOLDER') for kind in {kinds}]\"."
    )


def _offline(name: str, revision: str | None, keys: str, what: str) -> ConfigError:
    """Say which download is missing."""
    option = f" --revision {revision}" if revision else ""
    why = "HF_HUB_OFFLINE is set" if constants.is_offline_mode() else "the hub cannot be reached"
    return ConfigError(
        f"Model '{name}' cannot be had: {why}, and {what} in the cache, {constants.HF_HUB_CACHE}. "
        f"Fix: where there is a connection, `hf download {name}{option}` into that cache, or "
        f"`hf download {name}{option} --local-dir FOLDER` and give FOLDER in {keys}."
    )


def _cached(name: str, file: str, revision: str | None) -> Path | None:
    found = try_to_load_from_cache(name, file, revision=revision or "main")
    return Path(found) if isinstance(found, str) else None


def _cause(error: BaseException | None) -> Any:  # noqa: ANN401  # matched by its type
    """Return the hub's own error beneath that of transformers, the outermost first; None if there is none."""
    known = (
        GatedRepoError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
        HFValidationError,
        LocalEntryNotFoundError,
    )
    while error is not None and not isinstance(error, known):
        error = error.__cause__ or error.__context__
    return error
