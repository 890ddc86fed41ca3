"""A linear map some of whose weights are a parameter of their own."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional


def sparse_linear(
    x: Tensor, weight: Tensor, bias: Tensor | None, entries: Tensor, indices: Tensor
) -> Tensor:
    """Apply `weight` with `entries` at `indices` to `x`.

    Only `x`, `bias` and `entries` receive gradients. Neither the filled-in matrix nor its gradient
    outlives a call: both passes rebuild the former from the frozen weight, a copy of out x in
    numbers against the batch * tokens * out * in multiplications of the product. Under autocast it
    computes in autocast's type, as `functional.linear` does.

    Args:
        x: `[..., in]`.
        weight: Frozen `[out, in]`.
        bias: `[out]` or None.
        entries: Values `[n]` of the trained entries.
        indices: Their places in the flattened weight, `[n]`, without repetition.

    Returns:
        `[..., out]`.
    """
    device = x.device.type
    if autocasts(x):
        dtype = torch.get_autocast_dtype(device)
        x, bias = x.to(dtype), None if bias is None else bias.to(dtype)
        with torch.autocast(device, enabled=False):
            return _apply(x, weight, bias, entries, indices)
    return _apply(x, weight, bias, entries, indices)


def autocasts(x: Tensor) -> bool:
    """Tell whether autocast chooses the type of what is computed from `x`; on `meta` there is no autocast."""
    return not x.is_meta and torch.is_autocast_enabled(x.device.type)


def _filled(weight: Tensor, entries: Tensor, indices: Tensor, dtype: torch.dtype) -> Tensor:
    filled = weight.to(dtype, copy=True)
    filled.view(-1).index_copy_(0, indices.long(), entries.to(dtype))
    return filled


def _apply(*arguments: Tensor | None) -> Tensor:
    result: Tensor = _SparseLinear.apply(*arguments)  # type: ignore[no-untyped-call]
    return result


class _SparseLinear(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        entries: Tensor,
        indices: Tensor,
    ) -> Tensor:
        ctx.save_for_backward(x, weight, entries, indices)
        return functional.linear(x, _filled(weight, entries, indices, x.dtype), bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        x, weight, entries, indices = ctx.saved_tensors
        need_x, _, need_bias, need_entries, _ = ctx.needs_input_grad
        rows = gradient.reshape(-1, gradient.shape[-1])
        x_gradient = bias_gradient = entries_gradient = None
        if need_x:
            x_gradient = gradient @ _filled(weight, entries, indices, gradient.dtype)
        if need_bias:
            bias_gradient = rows.sum(0)
        if need_entries:
            dense = rows.t() @ x.reshape(-1, x.shape[-1])
            entries_gradient = dense.view(-1).index_select(0, indices).to(entries.dtype)
        return x_gradient, None, bias_gradient, entries_gradient, None
