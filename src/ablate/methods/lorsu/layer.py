"""What both kinds of adapted layer share: biases, merging, and which adapters act."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from peft.tuners.tuners_utils import BaseTunerLayer, check_adapters_to_merge
from torch import Tensor, nn

from ablate.config.errors import ConfigError

NOT_SELECTED = -1
"""What an index holds before `select` or a file has set it."""


class LorsuLayer(nn.Module, BaseTunerLayer):
    """A linear layer with LoRSU adapters; the base for both kinds.

    Attributes:
        base_layer: The adapted layer; its weights are never written but by `merge` and `unmerge`.
        lorsu_bias: Per adapter, what is added to the bias, `[out_features]`; zero at first.
    """

    adapter_layer_names: tuple[str, ...] = ("lorsu_bias",)
    other_param_names: tuple[str, ...] = ("selected",)

    def __init__(self, base_layer: nn.Linear) -> None:
        """Wrap `base_layer` without any adapter."""
        super().__init__()
        self.base_layer = base_layer
        self.lorsu_bias = nn.ParameterDict()
        self.selected: dict[str, bool] = {}
        self._originals: list[tuple[Tensor, Tensor]] = []
        self._original_bias: Tensor | None = None
        self._disable_adapters = False
        self.merged_adapters: list[str] = []

    def add_bias(self, adapter_name: str) -> None:
        """Make the bias trainable, if the layer has one."""
        if self.base_layer.bias is not None:
            self.lorsu_bias[adapter_name] = nn.Parameter(torch.zeros_like(self.base_layer.bias))

    def reset(self, adapter_name: str) -> None:
        """Set the adapter's update to zero."""
        if adapter_name in self.lorsu_bias:
            nn.init.zeros_(self.lorsu_bias[adapter_name])

    @abstractmethod
    def index(self, adapter_name: str) -> Tensor | None:
        """Return which slices of `sliced_weight` the adapter moves, or None if it moves none."""

    @abstractmethod
    def sliced_weight(self) -> Tensor:
        """Return a view of the weight whose first dimension is what adapters select from."""

    @abstractmethod
    def slices(self, adapter_name: str, base: Tensor) -> Tensor:
        """Return the adapter's version of the slices that it moves.

        Args:
            adapter_name: An adapter with an index.
            base: The same slices of the base weight.
        """

    @abstractmethod
    def adapted(self, x: Tensor, adapter_names: Sequence[str]) -> Tensor:
        """Apply the layer with adapters that are neither merged nor disabled."""

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:  # noqa: ANN401
        """Apply the layer to `[..., in_features]` with the active adapters."""
        if self.disable_adapters and self.merged:
            self.unmerge()
        names = self._available(self.active_adapters)
        if self.disable_adapters or self.merged or not names:
            result: Tensor = self.base_layer(x, *args, **kwargs)
            return result
        self._check_selected(names)
        return self.adapted(x, names)

    def merge(self, safe_merge: bool = False, adapter_names: list[str] | None = None) -> None:
        """Write the adapters' update into the base weight; with several, the sum of their updates.

        Args:
            safe_merge: Refuse a result that is not finite and leave the weights as they were.
            adapter_names: Adapters to merge; the active ones if None.

        Raises:
            ValueError: If `safe_merge` finds a value that is not finite.
        """
        names = self._available(check_adapters_to_merge(self, adapter_names))
        if not names:
            return
        self._check_selected(names)
        merged = [*self.merged_adapters, *names]
        self._restore()
        self._write(merged)
        if safe_merge and not self._is_finite():
            self._restore()
            self._write(self.merged_adapters)
            raise ValueError(f"The merged weights of adapters {', '.join(merged)} are not finite.")
        self.merged_adapters = merged

    def unmerge(self) -> None:
        """Restore the base weights, bit for bit."""
        self._restore()
        self.merged_adapters = []

    def get_delta_weight(self, adapter_name: str) -> Tensor:
        """Return what the adapter adds to the weight, `[out_features, in_features]`."""
        view = self.sliced_weight()
        delta = torch.zeros_like(view)
        index = self.index(adapter_name)
        if index is not None:
            base = view[index.long()]
            delta[index.long()] = self.slices(adapter_name, base).detach() - base
        return delta.view_as(self.base_layer.weight)

    @torch.no_grad()
    def _write(self, adapter_names: Sequence[str]) -> None:
        view = self.sliced_weight()
        updates = []
        for name in adapter_names:
            index = self.index(name)
            if index is not None:
                original = view[index.long()]
                self._originals.append((index.long(), original))
                updates.append((index.long(), original, self.slices(name, original)))
        for position, (index, original, changed) in enumerate(updates):
            if position == 0:
                view[index] = changed
            else:
                view[index] += changed - original
        biases = [self.lorsu_bias[name] for name in adapter_names if name in self.lorsu_bias]
        if biases:
            self._original_bias = self.base_layer.bias.detach().clone()
            for bias in biases:
                self.base_layer.bias.add_(bias)

    @torch.no_grad()
    def _restore(self) -> None:
        view = self.sliced_weight()
        for index, original in self._originals:
            view[index.to(view.device)] = original.to(view.device)
        self._originals = []
        if self._original_bias is not None:
            self.base_layer.bias.copy_(self._original_bias)
            self._original_bias = None

    def _is_finite(self) -> bool:
        tensors = [self.base_layer.weight, self.base_layer.bias]
        return all(bool(tensor.isfinite().all()) for tensor in tensors if tensor is not None)

    def _bias(self, adapter_names: Sequence[str]) -> Tensor | None:
        base: Tensor | None = self.base_layer.bias
        if base is None:
            return None
        total = base
        for name in adapter_names:
            if name in self.lorsu_bias:
                total = total + self.lorsu_bias[name]
        return total.to(base.dtype)

    def _available(self, adapter_names: Sequence[str]) -> list[str]:
        return [name for name in adapter_names if name in self.selected]

    def _check_selected(self, adapter_names: Sequence[str]) -> None:
        """Refuse an adapter whose index has not been set; looks at the index once, then remembers."""
        for name in adapter_names:
            if not self.selected[name]:
                index = self.index(name)
                # On `meta` nothing has content: shapes and costs alone are computed there.
                if index is not None and not index.is_meta and NOT_SELECTED in index:
                    raise ConfigError(
                        f"LoRSU adapter '{name}' has no heads and entries yet. "
                        "Call ablate.methods.lorsu.select(model, gradients) before using it, "
                        "or load it from a file."
                    )
                self.selected[name] = True
