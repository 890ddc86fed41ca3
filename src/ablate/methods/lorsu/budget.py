"""What a LoRSU adapter costs, by formula."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import nn

from ablate.methods.lorsu.architecture import find_tower, linear
from ablate.methods.lorsu.config import LorsuConfig


@dataclass(frozen=True)
class TowerShape:
    """The sizes that the formula is written in.

    Attributes:
        n_blocks: Adapted blocks, L.
        width: Input width of q, k, v and fc1, D.
        head_rows: Rows of q, k and v together that belong to one head, d.
        qkv_bias_rows: Biases of q, k and v together; 0 where there are none.
        fc1_rows: Rows of fc1, F.
        fc1_bias_rows: Biases of fc1; 0 where there are none.
        projections: Inputs and outputs of every layer with plain LoRA.
    """

    n_blocks: int
    width: int
    head_rows: int
    qkv_bias_rows: int
    fc1_rows: int
    fc1_bias_rows: int
    projections: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class TrainingBytes:
    """Memory of what is trained.

    Attributes:
        parameter_bytes: The trained scalars.
        gradient_bytes: Their gradients.
        optimizer_bytes: The two moments of Adam.
        index_bytes: Places of the entries (int32) and heads (int64), which are not trained.
    """

    parameter_bytes: int
    gradient_bytes: int
    optimizer_bytes: int
    index_bytes: int


def tower_shape(model: nn.Module, config: LorsuConfig) -> TowerShape:
    """Read the sizes of the blocks that `config` adapts, which are all of one shape."""
    tower = find_tower(model, config)
    block = tower.blocks[0]
    qkv = [linear(model, path) for path in block.qkv]
    fc1 = linear(model, block.fc1)
    ends = [linear(model, path) for path in tower.projections]
    return TowerShape(
        n_blocks=len(tower.blocks),
        width=fc1.in_features,
        head_rows=sum(layer.out_features for layer in qkv) // block.n_heads,
        qkv_bias_rows=sum(layer.out_features for layer in qkv if layer.bias is not None),
        fc1_rows=fc1.out_features,
        fc1_bias_rows=0 if fc1.bias is None else fc1.out_features,
        projections=tuple((end.in_features, end.out_features) for end in ends),
    )


def trainable_scalars(config: LorsuConfig, shape: TowerShape) -> int:
    """Count trained scalars by the formula in `LorsuConfig`."""
    n_right = 1 if config.fused_qkv else 3
    rows = config.top_k_heads * shape.head_rows
    low_rank = config.r * (n_right * shape.width + rows) if config.top_k_heads else 0
    entries = config.n_entries(shape.fc1_rows * shape.width)
    biases = (
        config.train_qkv_bias * shape.qkv_bias_rows + config.train_fc1_bias * shape.fc1_bias_rows
    )
    ends = sum(config.r * (n_in + n_out) for n_in, n_out in shape.projections)
    return shape.n_blocks * (low_rank + entries + biases) + ends


def training_bytes(
    config: LorsuConfig, shape: TowerShape, bytes_per_scalar: int = 4
) -> TrainingBytes:
    """Say how much memory training takes: 4 numbers a trained scalar under Adam, and the indices.

    Args:
        config: The adapter.
        shape: The tower, from `tower_shape`.
        bytes_per_scalar: 4 for float32, in which adapters are trained whatever the tower's own
            type.
    """
    scalars = bytes_per_scalar * trainable_scalars(config, shape)
    entries = shape.n_blocks * config.n_entries(shape.fc1_rows * shape.width)
    heads = shape.n_blocks * 3 * config.top_k_heads + len(shape.projections)
    return TrainingBytes(scalars, scalars, 2 * scalars, 4 * entries + 8 * heads)


def parameter_groups(
    parameters: Iterable[tuple[str, nn.Parameter]], weight_decay: float
) -> list[dict[str, Any]]:
    """Split trained parameters for an optimiser: biases are not decayed, all else is.

    Args:
        parameters: `model.named_parameters()`; frozen ones are left out.
        weight_decay: Decay of matrices and entries.
    """
    trained = [(name, parameter) for name, parameter in parameters if parameter.requires_grad]
    decayed = [parameter for name, parameter in trained if ".lorsu_bias." not in name]
    biases = [parameter for name, parameter in trained if ".lorsu_bias." in name]
    groups = [(decayed, weight_decay), (biases, 0.0)]
    return [{"params": group, "weight_decay": decay} for group, decay in groups if group]
