"""Where a transformer keeps what LoRSU adapts: its blocks, their heads and first MLP layers."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn

from ablate.config.errors import ConfigError
from ablate.methods.lorsu.config import LorsuConfig


@dataclass(frozen=True)
class BlockNames:
    """Paths of the adapted layers inside one block."""

    q: str
    k: str
    v: str
    fc1: str


BLOCK_NAMES = (
    BlockNames("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "mlp.fc1"),
    BlockNames("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "mlp.up_proj"),
    BlockNames("attention.q_proj", "attention.k_proj", "attention.v_proj", "mlp.fc1"),
    BlockNames("attention.q_proj", "attention.k_proj", "attention.v_proj", "mlp.up_proj"),
    BlockNames(
        "attention.attention.query",
        "attention.attention.key",
        "attention.attention.value",
        "intermediate.dense",
    ),
    BlockNames(
        "attention.attention.query",
        "attention.attention.key",
        "attention.attention.value",
        "mlp.fc1",
    ),
)
"""CLIP and SigLIP; Llama and its kin; ViT and DINOv2; DINOv2 with a gated MLP; ViT and DINOv2 under the names of older
transformers."""


@dataclass(frozen=True)
class Block:
    """The adapted layers of one block by their path in the model.

    Attributes:
        q: Path of the query projection.
        k: Path of the key projection.
        v: Path of the value projection.
        fc1: Path of the first MLP layer.
        n_heads: Heads with keys of their own; `[rows, width]` weights of q, k, v are `n_heads`
            equal slices.
    """

    q: str
    k: str
    v: str
    fc1: str
    n_heads: int

    @property
    def qkv(self) -> tuple[str, str, str]:
        """The three attention layers that are adapted."""
        return (self.q, self.k, self.v)


@dataclass(frozen=True)
class Tower:
    """Every layer that a configuration adapts.

    Attributes:
        blocks: The adapted blocks in their order.
        projections: Paths of the linear layers with plain LoRA.
    """

    blocks: tuple[Block, ...]
    projections: tuple[str, ...]


def find_tower(model: nn.Module, config: LorsuConfig) -> Tower:
    """Find the layers of `model` that `config` adapts, whether or not it holds adapters already.

    Raises:
        ConfigError: If there is no stack of blocks of a known architecture, or more than one, or
            too few blocks in it.
    """
    stacks = {
        path: names
        for path, module in _outer_modules(model)
        if isinstance(module, nn.ModuleList)
        and _inside(path, config.tower)
        and (names := _names_of(module)) is not None
    }
    if len(stacks) != 1:
        where = "the model" if config.tower is None else f"tower '{config.tower}'"
        found = ", ".join(sorted(stacks)) or "none of a known architecture"
        raise ConfigError(
            f"LoRSU adapts one stack of blocks, but {where} has {len(stacks)}: {found}. "
            "Set `tower` to the name of the module that holds the one to adapt."
        )
    path, names = next(iter(stacks.items()))
    n_blocks = len(_children(model, path))
    wanted = n_blocks if config.blocks is None else config.blocks
    if wanted > n_blocks:
        raise ConfigError(f"blocks={wanted} given, but '{path}' has only {n_blocks}.")
    first = 0 if config.blocks_from == "first" else n_blocks - wanted
    blocks = tuple(
        _block(model, f"{path}.{index}", names, config) for index in range(first, first + wanted)
    )
    return Tower(blocks, _projections(model, config))


def linear(model: nn.Module, path: str) -> nn.Linear:
    """Return the linear layer at `path`, from under its adapters if it has any.

    Raises:
        ConfigError: If it is of another type, such as a quantised layer.
    """
    layer: object = model.get_submodule(path)
    if isinstance(layer, BaseTunerLayer):
        layer = layer.get_base_layer()
    if not isinstance(layer, nn.Linear):
        raise ConfigError(
            f"LoRSU adapts linear layers, but '{path}' is a {type(layer).__name__}. "
            "Load the model without quantisation."
        )
    return layer


def _outer_modules(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield the modules that are not inside an adapted layer."""
    inside: tuple[str, ...] = ()
    for path, module in model.named_modules():
        if inside and path.startswith(inside):
            continue
        if isinstance(module, BaseTunerLayer):
            inside += (f"{path}.",)
        yield path, module


def _ends_with(path: str, name: str) -> bool:
    return path == name or path.endswith(f".{name}")


def _inside(path: str, tower: str | None) -> bool:
    """Whether `path` is inside a module whose path ends with `tower`."""
    return tower is None or f".{tower}." in f".{path}."


def _children(model: nn.Module, path: str) -> list[nn.Module]:
    return list(model.get_submodule(path).children())


def _names_of(stack: nn.ModuleList) -> BlockNames | None:
    """Return the naming that all blocks of a stack follow, or None if it is no stack of blocks."""
    for names in BLOCK_NAMES:
        paths = (names.q, names.k, names.v, names.fc1)
        if len(stack) and all(_has(block, path) for block in stack for path in paths):
            return names
    return None


def _has(module: nn.Module, path: str) -> bool:
    try:
        module.get_submodule(path)
    except AttributeError:
        return False
    return True


def _block(model: nn.Module, path: str, names: BlockNames, config: LorsuConfig) -> Block:
    attention = model.get_submodule(f"{path}.{names.q}".rpartition(".")[0])
    head_dim: Any = getattr(attention, "head_dim", None) or attention.attention_head_size
    n_heads = linear(model, f"{path}.{names.k}").out_features // int(head_dim)
    if config.top_k_heads > n_heads:
        raise ConfigError(
            f"top_k_heads={config.top_k_heads} given, but '{path}' has only {n_heads} heads."
        )
    return Block(
        f"{path}.{names.q}",
        f"{path}.{names.k}",
        f"{path}.{names.v}",
        f"{path}.{names.fc1}",
        n_heads,
    )


def _projections(model: nn.Module, config: LorsuConfig) -> tuple[str, ...]:
    found: list[str] = []
    for name in config.projections:
        paths = [path for path, _ in _outer_modules(model) if _ends_with(path, name)]
        if not paths:
            raise ConfigError(
                f"Projection '{name}' is not in the model. Name a linear layer of it in "
                "`projections`, or set that to [] for a tower without one."
            )
        found += paths
    return tuple(dict.fromkeys(found))
