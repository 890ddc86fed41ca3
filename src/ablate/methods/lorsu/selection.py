"""Which heads and which entries are trained."""

import zlib
from collections.abc import Callable, Mapping

import torch
from peft import PeftModel
from torch import Tensor, nn

from ablate.config.errors import ConfigError
from ablate.methods.lorsu.architecture import Block, find_tower, linear
from ablate.methods.lorsu.config import LorsuConfig
from ablate.methods.lorsu.layer import LorsuLayer
from ablate.methods.lorsu.model import entries_layer, lorsu_config, rows_layer

Evidence = Callable[[str, Tensor], Tensor]
"""Maps a weight's name and value to a tensor of its shape; large magnitudes are selected."""


def select(
    model: PeftModel,
    gradients: Mapping[str, Tensor] | None = None,
    adapter_name: str = "default",
) -> None:
    """Choose an adapter's heads and entries by its configured rule and set its update to zero.

    The choice is made on the CPU in float64, so that it does not depend on the device.

    Args:
        model: A network with a LoRSU adapter.
        gradients: Signed mean gradients by the names of `importance_parameters`; needed by the
            `gradient` rule only.
        adapter_name: Which adapter.

    Raises:
        ConfigError: If a gradient is missing or not finite.
    """
    config = lorsu_config(model.peft_config, adapter_name)
    network = model.get_base_model()
    evidence = _evidence(config, gradients)
    for block in find_tower(network, config).blocks:
        weights = {path: linear(network, path).weight for path in (*block.qkv, block.fc1)}
        if config.top_k_heads:
            qkv = [evidence(f"{path}.weight", weights[path]) for path in block.qkv]
            heads = choose_heads(head_scores(qkv, block.n_heads), config.top_k_heads)
            for path in block.qkv:
                rows_layer(network, path).choose(adapter_name, heads)
        _choose_entries(network, block, config, adapter_name, evidence, weights[block.fc1])
    for layer in network.modules():
        if isinstance(layer, LorsuLayer) and adapter_name in layer.selected:
            layer.reset(adapter_name)


def head_scores(qkv: list[Tensor], n_heads: int) -> Tensor:
    """Score heads by the squared norm of their rows in q, k and v together.

    arXiv 2502.04098, section 3.

    Args:
        qkv: Gradients `[rows, width]` of q, k and v.
        n_heads: Heads, as equal slices of the rows.

    Returns:
        float64 `[n_heads]`.
    """
    return torch.stack(
        [part.to("cpu", torch.float64).reshape(n_heads, -1).square().sum(1) for part in qkv]
    ).sum(0)


def choose_heads(scores: Tensor, k: int) -> Tensor:
    """Return the `k` heads of highest score in ascending order; of equal scores the lowest head."""
    return torch.sort(scores, descending=True, stable=True).indices[:k].sort().values


def choose_entries(scores: Tensor, n: int) -> Tensor:
    """Return the places of the `n` largest entries, ascending; of equal ones the lowest place.

    The n-th largest value divides the vector, which takes a fraction of a stable sort's time.
    """
    threshold = scores.topk(n, sorted=False).values.min()
    above = (scores > threshold).nonzero().flatten()
    equal = (scores == threshold).nonzero().flatten()[: n - len(above)]
    return torch.cat((above, equal)).sort().values


def _choose_entries(
    network: nn.Module,
    block: Block,
    config: LorsuConfig,
    adapter_name: str,
    evidence: Evidence,
    weight: Tensor,
) -> None:
    n_entries = config.n_entries(weight.numel())
    if n_entries:
        scores = evidence(f"{block.fc1}.weight", weight).to("cpu").abs().flatten()
        layer = entries_layer(network, block.fc1)
        layer.choose(adapter_name, choose_entries(scores, n_entries))


def _evidence(config: LorsuConfig, gradients: Mapping[str, Tensor] | None) -> Evidence:
    def gradient(name: str, weight: Tensor) -> Tensor:
        if gradients is None or name not in gradients:
            raise ConfigError(
                f"Selection by gradient needs the gradient of '{name}', which is missing. "
                "Compute it with mean_gradients on importance_parameters of the same configuration."
            )
        found = gradients[name]
        if found.shape != weight.shape or not bool(found.isfinite().all()):
            raise ConfigError(
                f"The gradient of '{name}' must be finite and of shape {list(weight.shape)}, "
                f"but it has shape {list(found.shape)} or holds values that are not finite."
            )
        return found

    def random(name: str, weight: Tensor) -> Tensor:
        # Seeded by the weight's name: what fc1 draws must not depend on whether heads were drawn.
        seed = zlib.crc32(f"{config.selection_seed} {name}".encode())
        generator = torch.Generator().manual_seed(seed)
        return torch.rand(weight.shape, generator=generator, dtype=torch.float64)

    def weight_magnitude(name: str, weight: Tensor) -> Tensor:  # noqa: ARG001
        return weight.detach()

    def first(name: str, weight: Tensor) -> Tensor:  # noqa: ARG001
        return torch.zeros(weight.shape)

    rules = {
        "gradient": gradient,
        "random": random,
        "weight_magnitude": weight_magnitude,
        "first": first,
    }
    return rules[config.selection]
