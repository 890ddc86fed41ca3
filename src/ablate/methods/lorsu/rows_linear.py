"""The adapted attention layer: low-rank updates of the rows of chosen heads."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from peft.tuners._buffer_dict import BufferDict
from torch import Tensor, nn
from torch.nn import functional

from ablate.methods.lorsu.config import LorsuConfig
from ablate.methods.lorsu.layer import NOT_SELECTED, LorsuLayer
from ablate.methods.lorsu.sparse_linear import autocasts


@dataclass(frozen=True)
class Start:
    """How a low-rank pair starts: one matrix uniform within 1 / sqrt(fan), the other zero.

    Attributes:
        side: Which matrix is random: `left` is B, `right` is A.
        fan: Whether the bound counts the random matrix's columns (`fan_in`: r for B, the layer's inputs for A)
            or its rows (`fan_out`: r for A).
    """

    side: Literal["left", "right"]
    fan: Literal["fan_in", "fan_out"] = "fan_in"

    def matrix(
        self,
        side: Literal["left", "right"],
        n_rows: int,
        n_columns: int,
        generator: torch.Generator | None,
    ) -> Tensor:
        """Return the matrix of one side, float32 `[n_rows, n_columns]` on the CPU."""
        matrix = torch.zeros(n_rows, n_columns, device="cpu", dtype=torch.float32)
        if side == self.side:
            # With a = sqrt 5, Kaiming's bound is 1 / sqrt(fan).
            nn.init.kaiming_uniform_(matrix, a=5**0.5, mode=self.fan, generator=generator)
        return matrix


class RowsLinear(LorsuLayer):
    """A linear layer with low-rank updates of some of its rows: W[head] += alpha / r * B[head] A.

    Attributes:
        n_heads: Equal slices of rows that adapters choose from.
        lorsu_A: Per adapter, the right matrix, `[r, in_features]`; not here if another layer owns
            it.
        lorsu_B: Per adapter, the left matrix, `[chosen heads * rows of a head, r]`.
        lorsu_heads: Per adapter, the chosen heads in ascending order.
    """

    adapter_layer_names = ("lorsu_A", "lorsu_B", "lorsu_bias")
    other_param_names = ("lorsu_heads", "scaling", "start", "n_sharers", "owner", "selected")

    def __init__(self, base_layer: nn.Linear, n_heads: int) -> None:
        """Wrap `base_layer`, whose rows are `n_heads` equal slices."""
        super().__init__(base_layer)
        self.n_heads = n_heads
        self.lorsu_A = nn.ParameterDict()
        self.lorsu_B = nn.ParameterDict()
        self.lorsu_heads = BufferDict(persistent=True)
        self.scaling: dict[str, float] = {}
        self.start: dict[str, Start] = {}
        self.n_sharers: dict[str, int] = {}
        self.owner: dict[str, RowsLinear] = {}
        self._product: tuple[Any, ...] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave the shared product out of copies: it belongs to a pass through this layer."""
        return {**self.__dict__, "_product": None}

    def add_adapter(
        self,
        adapter_name: str,
        config: LorsuConfig,
        n_chosen: int,
        owns_A: bool,  # noqa: N803
        start: Start,
        generator: torch.Generator | None,
    ) -> None:
        """Add an adapter whose heads are still to be selected.

        Args:
            adapter_name: Name of the new adapter.
            config: Rank and scale.
            n_chosen: Heads that it trains; 0 for none.
            owns_A: Whether this layer holds the right matrix; if not, another one `lend`s it.
            start: Which matrix starts random, and how.
            generator: Source of the initial matrices; torch's global one if None.
        """
        self.selected[adapter_name] = False
        if not n_chosen:
            return
        weight = self.base_layer.weight
        n_rows = n_chosen * (self.base_layer.out_features // self.n_heads)
        self.scaling[adapter_name] = config.scaling
        self.start[adapter_name] = start
        if owns_A:
            right = start.matrix("right", config.r, self.base_layer.in_features, generator)
            self.lorsu_A[adapter_name] = nn.Parameter(right.to(weight))
        left = start.matrix("left", n_rows, config.r, generator)
        self.lorsu_B[adapter_name] = nn.Parameter(left.to(weight))
        heads = torch.full((n_chosen,), NOT_SELECTED, dtype=torch.int64, device=weight.device)
        self.lorsu_heads[adapter_name] = heads

    def lend(self, adapter_name: str, borrowers: Sequence[RowsLinear]) -> None:
        """Let other layers with the same input use the A that this layer holds."""
        self.n_sharers[adapter_name] = 1 + len(borrowers)
        for layer in borrowers:
            layer.owner[adapter_name] = self

    @torch.no_grad()
    def choose(self, adapter_name: str, heads: Tensor) -> None:
        """Set which heads the adapter trains."""
        self.lorsu_heads[adapter_name].copy_(heads)

    def reset(self, adapter_name: str) -> None:
        """Set the adapter's update to zero: B, or the A of this layer where B starts random."""
        super().reset(adapter_name)
        if adapter_name in self.lorsu_B:
            zero = self.lorsu_A if self.start[adapter_name].side == "left" else self.lorsu_B
            if adapter_name in zero:
                nn.init.zeros_(zero[adapter_name])

    def index(self, adapter_name: str) -> Tensor | None:
        """Return the chosen heads."""
        if adapter_name not in self.lorsu_heads:
            return None
        heads: Tensor = self.lorsu_heads[adapter_name]
        return heads

    def sliced_weight(self) -> Tensor:
        """Return the weight as `[n_heads, rows of a head, in_features]`."""
        weight: Tensor = self.base_layer.weight.detach()
        return weight.view(self.n_heads, -1, weight.shape[1])

    def slices(self, adapter_name: str, base: Tensor) -> Tensor:
        """Return the chosen heads' rows, updated: `[heads, rows of a head, in_features]`."""
        left = self.lorsu_B[adapter_name]
        right = self.owner.get(adapter_name, self).lorsu_A[adapter_name]
        update = self.scaling[adapter_name] * (left @ right)
        changed: Tensor = base.to(update.dtype) + update.view_as(base)
        return changed.to(base.dtype)

    def adapted(self, x: Tensor, adapter_names: Sequence[str]) -> Tensor:
        """Apply the layer and add the low-rank outputs to the chosen heads' slice of the result.

        Costs r * (in_features + chosen rows) multiplications a token; nothing of size out x in is
        formed.
        """
        if any(name in self.lorsu_bias for name in adapter_names):
            result = functional.linear(x, self.base_layer.weight, self._bias(adapter_names))
        else:
            result = self.base_layer(x)
        for name in adapter_names:
            if name in self.lorsu_B:
                left = self.lorsu_B[name] * self.scaling[name]
                update = functional.linear(self.owner.get(name, self).right_product(x, name), left)
                heads = self.lorsu_heads[name]
                # The result is fresh, so adding in place saves a copy of it in every layer.
                lead = result.shape[:-1]
                result.view(*lead, self.n_heads, -1).index_add_(
                    -2, heads, update.view(*lead, len(heads), -1).to(result.dtype)
                )
        return result

    def right_product(self, x: Tensor, adapter_name: str) -> Tensor:
        """Return x A^T, `[..., r]`; computed once for q, k and v if they share A and x."""
        right = self.lorsu_A[adapter_name]
        if adapter_name not in self.n_sharers:
            return _product(x, right)
        modes = (torch.is_grad_enabled(), autocasts(x))
        key = (adapter_name, x._version, right._version, *modes)
        if self._product is not None and self._product[0]() is x and self._product[1] == key:
            product: Tensor = self._product[2]
            uses_left: int = self._product[3]
        else:
            product = _product(x, right)
            uses_left = self.n_sharers[adapter_name]
        uses_left -= 1
        self._product = (weakref.ref(x), key, product, uses_left) if uses_left else None
        return product


def _product(x: Tensor, right: Tensor) -> Tensor:
    """Return x A^T in the type of A or, under autocast, in autocast's."""
    return functional.linear(x if autocasts(x) else x.to(right.dtype), right)
