"""The importance pass, made once per model, data, seed and loss and kept for every other run."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ablate.config.schema import TrainConfig
from ablate.methods.lorsu.importance import mean_gradients
from ablate.models.compute import Compute
from ablate.results.cache import writing
from ablate.results.tensors import DamagedTensorsError, read_tensors, write_tensors
from ablate.telemetry.memory import is_out_of_memory, release
from ablate.telemetry.progress import stage_bar
from ablate.training.losses import Loss
from ablate.training.memory import halved

log = logging.getLogger(__name__)

_FLOAT16_SCALE = 2.0**10
# The last result only: at CLIP ViT-L size one is 0.7 GB.
_held: dict[str, dict[str, Tensor]] = {}


@dataclass(frozen=True)
class ImportanceCache:
    """The mean gradients of models that no run has trained yet.

    Rank, number of heads and sparsity do not enter them, so a sweep over these makes one pass for each seed.

    Attributes:
        folder: Where they are kept.
        key_of: Hashes what they depend on, given the sorted names of the weights.
    """

    folder: Path
    key_of: Callable[[list[str]], str]

    def gradients(
        self,
        parameters: Mapping[str, nn.Parameter],
        measure: Callable[[], dict[str, Tensor]],
    ) -> dict[str, Tensor]:
        """Return the mean gradient of some weights, from memory or disk if it is there, on the CPU.

        Args:
            parameters: The weights by name.
            measure: Computes the gradients.
        """
        key = self.key_of(sorted(parameters))
        file = self._file(key)
        if key not in _held:
            found = _read(file, key, parameters)
            if found is None:
                found = measure()
                _write(file, key, found)
            _held.clear()
            _held[key] = found
        return _held[key]

    def is_kept(self, names: Iterable[str]) -> bool:
        """Tell whether there is an entry for the weights of these names; a damaged one counts, too."""
        key = self.key_of(sorted(names))
        return key in _held or self._file(key).exists()

    def _file(self, key: str) -> Path:
        return self.folder / f"importance-{key[:16]}.safetensors"


def mean_gradients_of(
    parameters: Mapping[str, nn.Parameter],
    model: nn.Module,
    loss: Loss,
    config: TrainConfig,
    compute: Compute,
    seed: int,
) -> dict[str, Tensor]:
    """Average the gradients of some weights over the training set, with a bar.

    Args:
        parameters: The weights by name.
        model: The model at its current weights.
        loss: The loss over the training set.
        config: Its batch size, and how many examples are used.
        compute: Device and precision.
        seed: Seed of the order, and of torch's generator.

    Returns:
        Gradients by name, on the CPU.

    Raises:
        DoesNotFitError: If one example does not fit into memory, or batch normalisation has to see several.
    """
    size = min(config.batch_size, loss.n)
    while True:
        try:
            return _mean_gradients(parameters, model, loss, config, compute, seed, size)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            said = str(error)
        # Outside the block above: the error holds on to the activations.
        release(compute.device)
        size = halved(size, said, model, config, compute)


def _mean_gradients(
    parameters: Mapping[str, nn.Parameter],
    model: nn.Module,
    loss: Loss,
    config: TrainConfig,
    compute: Compute,
    seed: int,
    size: int,
) -> dict[str, Tensor]:
    """Do so with at most `size` examples in a pass."""
    # Small gradients would be zero in float16; a common factor does not change the ranking.
    scale = _FLOAT16_SCALE if compute.scales_gradients else 1.0
    batches = importance_batches(loss, config, seed)
    with stage_bar("importance", sum(map(len, batches)), "image") as advance:

        def parts() -> Iterator[tuple[Tensor, int]]:
            """Yield losses, each as the mean over some examples."""
            for batch in batches:
                losses = loss.parts(model, batch, size)
                for part in batch.split(size):
                    advance(len(part))
                    with compute.autocast():
                        value = next(losses) * (len(batch) / len(part)) * scale
                    yield value, len(part)

        torch.manual_seed(seed)
        model.train()
        gradients = mean_gradients(parameters, parts(), lambda part: part)
        model.eval()
    return {name: gradient.cpu() / scale for name, gradient in gradients.items()}


def importance_batches(loss: Loss, config: TrainConfig, seed: int) -> list[Tensor]:
    """Return the batches of the importance pass, in their order."""
    n = min(loss.n, config.importance_examples or loss.n)
    # The training set is ordered by class, and a batch of one class has no contrast for the CLIP loss.
    order = torch.randperm(loss.n, generator=torch.Generator().manual_seed(seed))[:n]
    return list(order.split(config.batch_size))


def _read(file: Path, key: str, parameters: Mapping[str, nn.Parameter]) -> dict[str, Tensor] | None:
    """Read an entry; one that is damaged, or belongs to something else, counts as absent."""
    if not file.exists():
        return None
    try:
        content = read_tensors(file)
    except DamagedTensorsError as error:
        log.warning("importance cache %s is damaged (%s); computing it again", file, error)
        return None
    found: dict[str, Tensor] = content.get("gradients", {})
    shapes = {name: weight.shape for name, weight in parameters.items()}
    if content.get("key") != key or {name: t.shape for name, t in found.items()} != shapes:
        log.warning("importance cache %s belongs to something else; computing it again", file)
        return None
    log.info("importance read from %s", file)
    return found


def _write(file: Path, key: str, gradients: dict[str, Tensor]) -> None:
    with writing(file) as temporary:
        write_tensors({"key": key, "gradients": gradients}, temporary)
