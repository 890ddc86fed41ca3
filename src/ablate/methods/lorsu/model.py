"""The peft model: which layer of a network gets which LoRSU layer."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from peft import PeftConfig
from peft.tuners.tuners_utils import BaseTuner
from torch import Tensor, nn

from ablate.config.errors import ConfigError, unknown
from ablate.methods.lorsu.architecture import Tower, find_tower, linear
from ablate.methods.lorsu.config import LorsuConfig
from ablate.methods.lorsu.entries_linear import EntriesLinear
from ablate.methods.lorsu.layer import LorsuLayer
from ablate.methods.lorsu.rows_linear import RowsLinear, Start


@dataclass(frozen=True)
class _Role:
    """What one layer is to the method.

    Attributes:
        is_fc1: Whether chosen entries are trained; else rows of chosen heads.
        n_heads: Slices of rows to choose from.
        n_chosen: Slices that are trained.
        owns_A: Whether it holds the right matrix.
        trains_bias: Whether its bias is trained.
        start: How its low-rank pair starts; None for fc1.
    """

    is_fc1: bool
    n_heads: int
    n_chosen: int
    owns_A: bool  # noqa: N815
    trains_bias: bool
    start: Start | None


# The authors' code adapts CLIP's projection as the [in, out] matrix that it is there, so what would be B is A here.
_PROJECTION_START = Start("right", "fan_out")


class LorsuModel(BaseTuner):
    """A network with LoRSU adapters, as `peft.get_peft_model` makes it from a `LorsuConfig`."""

    prefix = "lorsu_"
    tuner_layer_cls = LorsuLayer
    target_module_mapping: dict[str, list[str]] = {}  # noqa: RUF012

    def inject_adapter(
        self,
        model: nn.Module,
        adapter_name: str,
        autocast_adapter_dtype: bool = True,
        low_cpu_mem_usage: bool = False,
        state_dict: dict[str, Tensor] | None = None,
    ) -> None:
        """Put the layers of an adapter into `model`; heads and entries are selected afterwards."""
        config = lorsu_config(self.peft_config, adapter_name)
        tower = find_tower(model, config)
        self._roles = _roles(tower, config)
        super().inject_adapter(
            model, adapter_name, autocast_adapter_dtype, low_cpu_mem_usage, state_dict
        )
        if config.fused_qkv and config.top_k_heads:
            for block in tower.blocks:
                owner, *borrowers = (rows_layer(model, path) for path in block.qkv)
                owner.lend(adapter_name, borrowers)
        for path in tower.projections:
            rows_layer(model, path).choose(adapter_name, torch.zeros(1, dtype=torch.int64))

    def _prepare_adapter_config(
        self,
        peft_config: PeftConfig,
        model_config: dict[str, Any],  # noqa: ARG002
    ) -> PeftConfig:
        return peft_config

    def _check_target_module_exists(  # type: ignore[override]  # peft calls it on the instance
        self,
        peft_config: PeftConfig,  # noqa: ARG002
        key: str,
    ) -> bool:
        return key in self._roles

    def _create_and_replace(
        self,
        peft_config: PeftConfig,  # noqa: ARG002
        adapter_name: str,
        target: nn.Module,
        target_name: str,
        parent: nn.Module,
        current_key: str,
        parameter_name: str | None = None,  # noqa: ARG002
    ) -> None:
        role = self._roles[current_key]
        config = lorsu_config(self.peft_config, adapter_name)
        layer = target
        if not isinstance(layer, LorsuLayer):
            base = linear(self.model, current_key)
            layer = EntriesLinear(base) if role.is_fc1 else RowsLinear(base, role.n_heads)
            self._replace_module(parent, target_name, layer, target)
        if isinstance(layer, RowsLinear) and role.start is not None:
            generator = _generator(config, current_key)
            layer.add_adapter(
                adapter_name, config, role.n_chosen, role.owns_A, role.start, generator
            )
        elif isinstance(layer, EntriesLinear):
            n_entries = config.n_entries(layer.base_layer.weight.numel())
            layer.add_adapter(adapter_name, n_entries)
        if role.trains_bias:
            layer.add_bias(adapter_name)


def lorsu_config(configs: Mapping[str, PeftConfig], adapter_name: str) -> LorsuConfig:
    """Return the LoRSU configuration of an adapter.

    Raises:
        ConfigError: If there is no such adapter, or it is of another method.
    """
    if adapter_name not in configs:
        raise unknown("adapter", adapter_name, configs)
    config = configs[adapter_name]
    if not isinstance(config, LorsuConfig):
        raise ConfigError(
            f"Adapter '{adapter_name}' is a {type(config).__name__}, not a LorsuConfig. "
            "Build the model with get_peft_model(model, LorsuConfig(...))."
        )
    return config


def rows_layer(model: nn.Module, path: str) -> RowsLinear:
    """Return the adapted attention or projection layer at `path`."""
    layer = model.get_submodule(path)
    if not isinstance(layer, RowsLinear):
        raise TypeError(f"'{path}' is a {type(layer).__name__}, not a RowsLinear.")
    return layer


def entries_layer(model: nn.Module, path: str) -> EntriesLinear:
    """Return the adapted MLP layer at `path`."""
    layer = model.get_submodule(path)
    if not isinstance(layer, EntriesLinear):
        raise TypeError(f"'{path}' is a {type(layer).__name__}, not an EntriesLinear.")
    return layer


def _roles(tower: Tower, config: LorsuConfig) -> dict[str, _Role]:
    """Say for every path that is adapted what is to be done there."""
    roles = {}
    for block in tower.blocks:
        for path in block.qkv:
            if config.top_k_heads or config.train_qkv_bias:
                owns = not config.fused_qkv or path == block.q
                start = Start(config.init_side)
                roles[path] = _Role(
                    False, block.n_heads, config.top_k_heads, owns, config.train_qkv_bias, start
                )
        if config.sparsity or config.train_fc1_bias:
            roles[block.fc1] = _Role(True, 1, 0, False, config.train_fc1_bias, None)
    for path in tower.projections:
        roles[path] = _Role(False, 1, 1, True, False, _PROJECTION_START)
    return roles


def _generator(config: LorsuConfig, path: str) -> torch.Generator | None:
    """Return the layer's own generator, or None for torch's global one."""
    if config.init_seed is None:
        return None
    return torch.Generator().manual_seed(zlib.crc32(f"{config.init_seed} {path}".encode()))
