"""The adapted MLP layer: some entries of its matrix are trained."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from peft.tuners._buffer_dict import BufferDict
from torch import Tensor, nn
from torch.nn import functional

from ablate.methods.lorsu.layer import NOT_SELECTED, LorsuLayer
from ablate.methods.lorsu.sparse_linear import sparse_linear


class EntriesLinear(LorsuLayer):
    """A linear layer of which some entries are trained: W[indices] = entries.

    The parameter holds the weights themselves and not their change, so that weight decay acts on
    what it would act on in the dense matrix.

    Attributes:
        lorsu_entries: Per adapter, the trained weights, `[n]`.
        lorsu_indices: Per adapter, their places in the flattened weight in ascending order, int32.
    """

    adapter_layer_names = ("lorsu_entries", "lorsu_bias")
    other_param_names = ("lorsu_indices", "selected")

    def __init__(self, base_layer: nn.Linear) -> None:
        """Wrap `base_layer` without any adapter."""
        super().__init__(base_layer)
        self.lorsu_entries = nn.ParameterDict()
        self.lorsu_indices = BufferDict(persistent=True)

    def add_adapter(self, adapter_name: str, n_entries: int) -> None:
        """Add an adapter whose `n_entries` are still to be selected."""
        self.selected[adapter_name] = False
        if n_entries:
            weight = self.base_layer.weight
            self.lorsu_entries[adapter_name] = nn.Parameter(weight.new_zeros(n_entries))
            self.lorsu_indices[adapter_name] = torch.full(
                (n_entries,), NOT_SELECTED, dtype=torch.int32, device=weight.device
            )

    @torch.no_grad()
    def choose(self, adapter_name: str, indices: Tensor) -> None:
        """Set which entries the adapter trains; `reset` then takes their values over."""
        self.lorsu_indices[adapter_name].copy_(indices)

    @torch.no_grad()
    def reset(self, adapter_name: str) -> None:
        """Set the adapter's update to zero: the entries are those of the base weight."""
        super().reset(adapter_name)
        if adapter_name in self.lorsu_entries:
            indices = self.lorsu_indices[adapter_name]
            self.lorsu_entries[adapter_name].copy_(self.sliced_weight()[indices.long()])

    def index(self, adapter_name: str) -> Tensor | None:
        """Return the places of the trained entries."""
        if adapter_name not in self.lorsu_indices:
            return None
        indices: Tensor = self.lorsu_indices[adapter_name]
        return indices

    def sliced_weight(self) -> Tensor:
        """Return the weight as a vector."""
        return self.base_layer.weight.detach().view(-1)

    def slices(self, adapter_name: str, base: Tensor) -> Tensor:
        """Return the trained entries, `[n]`."""
        entries: Tensor = self.lorsu_entries[adapter_name]
        return entries.to(base.dtype)

    def adapted(self, x: Tensor, adapter_names: Sequence[str]) -> Tensor:
        """Apply the layer with the trained entries in place of the base weight's."""
        weight, bias = self.base_layer.weight, self._bias(adapter_names)
        names = [name for name in adapter_names if name in self.lorsu_entries]
        if len(names) == 1:
            entries, indices = self.lorsu_entries[names[0]], self.lorsu_indices[names[0]]
            return sparse_linear(x, weight, bias, entries, indices)
        flat = weight.detach().view(-1)
        base = flat
        for name in names:
            index = self.lorsu_indices[name].long()
            flat = flat.index_add(0, index, self.lorsu_entries[name].to(base.dtype) - base[index])
        return functional.linear(x, flat.view_as(weight), bias)
