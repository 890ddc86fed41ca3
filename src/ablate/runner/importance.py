"""The importance pass, made once per model, data, seed and loss and kept for every other run."""

import hashlib
import json
import logging
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save, save_file
from torch import Tensor, nn

from ablate.methods.base import Method
from ablate.methods.lorsu.importance import mean_gradients
from ablate.models.compute import Compute
from ablate.models.vlm import VisionLanguageModel
from ablate.runner.cache import writing
from ablate.runner.identity import importance_key
from ablate.runner.prepare import PreparedRun
from ablate.runner.progress import stage_bar
from ablate.training.losses import Loss

log = logging.getLogger(__name__)

_CONTENT = "content_sha256"
_KEY = "key"
_FLOAT16_SCALE = 2.0**10
# The last result only: at CLIP ViT-L size one is 0.7 GB.
_held: dict[str, dict[str, Tensor]] = {}


def importance(
    prepared: PreparedRun,
    method: Method,
    vlm: VisionLanguageModel,
    loss: Loss,
    compute: Compute,
    is_reusable: bool,
) -> dict[str, Tensor]:
    """Return the mean gradient of every weight that a method ranks, from memory or disk if it is there.

    Rank, number of heads and sparsity do not enter it, so a sweep over them makes one pass for each
    seed.

    Args:
        prepared: The run.
        method: Names the weights.
        vlm: The model at its current weights.
        loss: The loss over the session's training set.
        compute: Device and precision.
        is_reusable: Whether the model is as it was loaded; else the run has trained it before, and the
            gradients are computed every time.
    """
    parameters = method.importance_parameters(vlm)
    if not is_reusable:
        return _mean_gradients(prepared, vlm, parameters, loss, compute)
    key = importance_key(prepared.config, prepared.fingerprints, compute, sorted(parameters))
    file = prepared.cache_folder / f"importance-{key[:16]}.safetensors"
    if key not in _held:
        found = _read(file, key, parameters)
        if found is None:
            found = _mean_gradients(prepared, vlm, parameters, loss, compute)
            _write(file, key, found)
        _held.clear()
        _held[key] = found
    return {name: gradient.to(compute.device) for name, gradient in _held[key].items()}


def _mean_gradients(
    prepared: PreparedRun,
    vlm: VisionLanguageModel,
    parameters: dict[str, nn.Parameter],
    loss: Loss,
    compute: Compute,
) -> dict[str, Tensor]:
    # Small gradients would be zero in float16; the ranking does not mind a factor.
    scale = _FLOAT16_SCALE if compute.scales_gradients else 1.0
    n = min(loss.n, prepared.config.train.importance_examples or loss.n)
    with stage_bar("importance", n, "image") as advance:

        def loss_of(batch: Tensor) -> tuple[Tensor, int]:
            advance(len(batch))
            with compute.autocast():
                return loss(batch) * scale, len(batch)

        torch.manual_seed(prepared.config.seed)
        vlm.train()
        # The training set is ordered by class, and a batch of one class has no contrast for the CLIP loss.
        generator = torch.Generator().manual_seed(prepared.config.seed)
        order = torch.randperm(loss.n, generator=generator)
        batches = order[:n].split(prepared.config.train.batch_size)
        gradients = mean_gradients(parameters, batches, loss_of)
        vlm.eval()
    return {name: gradient.cpu() / scale for name, gradient in gradients.items()}


def _read(file: Path, key: str, parameters: dict[str, nn.Parameter]) -> dict[str, Tensor] | None:
    """Read an entry; one that is damaged, or belongs to something else, counts as absent."""
    if not file.exists():
        return None
    try:
        with safe_open(file, framework="pt") as tensors:
            metadata = tensors.metadata() or {}
            found = {name: tensors.get_tensor(name) for name in tensors.keys()}  # noqa: SIM118  # no mapping
    except (SafetensorError, OSError) as error:
        log.warning("importance cache %s cannot be read (%s); computing it again", file, error)
        return None
    shapes = {name: weight.shape for name, weight in parameters.items()}
    if metadata.get(_KEY) != key or {name: t.shape for name, t in found.items()} != shapes:
        log.warning("importance cache %s belongs to something else; computing it again", file)
        return None
    if metadata.get(_CONTENT) != _digest(found):
        log.warning("importance cache %s is damaged; computing it again", file)
        return None
    log.info("importance read from %s", file)
    return found


def _write(file: Path, key: str, gradients: dict[str, Tensor]) -> None:
    with writing(file) as temporary:
        save_file(gradients, temporary, {_KEY: key, _CONTENT: _digest(gradients)})


def _digest(tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256(json.dumps(sorted(tensors)).encode())
    for name in sorted(tensors):
        digest.update(save({name: tensors[name].contiguous()}))
    return digest.hexdigest()
