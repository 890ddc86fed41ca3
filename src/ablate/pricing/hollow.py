"""Tensors with a shape and no content that take the part of a CPU's: a run's own code computes on them for nothing.

Torch's `meta` tensors have no content either, but every other tensor that meets them has to be on `meta`, too, so code
that looks for image tokens among ids, or indexes by a mask, cannot run. A hollow tensor says that it is on the CPU:
ids and masks keep their content beside it, autocast and fused attention do as they do, and autograd keeps alive what it
would keep alive.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ablate.pricing.effects import effect_of, written_to

_aten = torch.ops.aten
_LARGE = 1_000_000
_META = torch.device("meta")
_INDEXING = (_aten.index, _aten.index_put)
# Shapes of results by operation and the shapes of what it is given: a model's layers are alike.
_shapes: dict[object, Any] = {}


class ContentNeededError(RuntimeError):
    """What is asked for depends on numbers that are not there."""


class HollowTensor(Tensor):
    """A tensor of the CPU without content; a number read from it is 1, a truth value true.

    Attributes:
        inner: The same on `meta`; views share its storage.
    """

    inner: Tensor  # type: ignore[assignment]  # torch's own is an inner product's, which nobody calls
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]  # as torch documents

    @staticmethod
    def __new__(cls: type["HollowTensor"], inner: Tensor) -> "HollowTensor":
        """Wrap a tensor on `meta`."""
        made: HollowTensor = Tensor._make_wrapper_subclass(
            cls,
            inner.size(),
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=torch.device("cpu"),
        )
        made.inner = inner
        return made

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]  # noqa: ANN401  # torch's own
        """Say what is there: shape and type."""
        del tensor_contents
        return f"HollowTensor({tuple(self.shape)}, {self.dtype})"

    def tolist(self) -> Any:  # noqa: ANN401  # as torch's own
        """Return nested lists of what is read from any element."""
        value: Any = _element(self.dtype)
        for length in reversed(self.shape):
            value = [value] * length
        return value

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]  # as torch documents it
        cls,
        func: Any,  # noqa: ANN401  # an operation of torch's
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        """Compute shapes.

        Raises:
            ContentNeededError: If a result's shape depends on content.
        """
        del types
        return compute_shapes(func, args, kwargs or {})


def compute_shapes(func: Any, args: tuple[Any, ...], named: Mapping[str, Any]) -> Any:  # noqa: ANN401  # as above
    """Do an operation on tensors some of which have no content.

    Raises:
        ContentNeededError: If a result's shape depends on content.
    """
    effect = effect_of(func)
    if effect == "element":
        return _element(args[0].dtype)
    if effect == "true":
        return True
    if effect == "by content":
        raise ContentNeededError(f"{func} depends on content")
    if effect == "write":
        return written_to(func, args, named)
    if func.overloadpacket in _INDEXING:
        args = (args[0], _places(args[1]), *args[2:])
    if effect == "view":
        # In inference mode, too, a view of a normal tensor is a normal one.
        with torch.inference_mode(args[0].is_inference()):
            return _hollow(_on_meta(func, args, named))
    key = shapes_of(func, args, named)
    if key not in _shapes:
        _shapes[key] = _shape(_on_meta(func, args, named))
    return _blank(_shapes[key])


def hollow_if_large(
    func: Any,  # noqa: ANN401  # an operation of torch's
    args: tuple[Any, ...],
    named: Mapping[str, Any],
) -> Tensor | None:
    """Return the result of an operation on real tensors without content if it is large, such as a mask of all pairs.

    Ids and small masks, whose content shapes depend on, stay below a million elements. What is computed of a tensor
    that is large itself, such as places of trained entries, keeps its content, too.
    """
    if effect_of(func) != "new" or func.overloadpacket in _INDEXING:
        return None
    if any(isinstance(given, Tensor) and given.numel() >= _LARGE for given in args):
        return None
    key = shapes_of(func, args, named)
    if key not in _shapes:
        try:
            _shapes[key] = _shape(_on_meta(func, args, named))
        except (RuntimeError, NotImplementedError):
            return None
    shape = _shapes[key]
    is_large = isinstance(shape, tuple) and math.prod(shape[0]) >= _LARGE
    return _blank(shape) if is_large else None


def hollow(*size: int, dtype: torch.dtype) -> Tensor:
    """Make a tensor without content."""
    return HollowTensor(torch.empty(size, dtype=dtype, device=_META))


def hollow_out(module: nn.Module) -> None:
    """Make a module's parameters and floating-point buffers hollow, and its integers zeros.

    Args:
        module: On `meta`; what is shared stays shared.
    """
    for parameter in list(module.parameters()):
        # The same object: methods remember what they train.
        torch.utils.swap_tensors(
            parameter,
            nn.Parameter(HollowTensor(parameter.detach()), requires_grad=parameter.requires_grad),
        )
    made: dict[int, Tensor] = {}
    for part in module.modules():
        for name, buffer in part._buffers.items():
            if buffer is not None:
                part._buffers[name] = made.setdefault(id(buffer), _emptied(buffer))


def _emptied(tensor: Tensor) -> Tensor:
    is_float = tensor.is_floating_point()
    return HollowTensor(tensor) if is_float else torch.zeros(tensor.shape, dtype=tensor.dtype)


def _element(dtype: torch.dtype) -> float | int | bool:
    if dtype == torch.bool:
        return True
    return 1.0 if dtype.is_floating_point else 1


def _places(indices: Any) -> list[Any]:  # noqa: ANN401
    """Turn masks that have content into positions: their number is a size of the result."""
    found: list[Any] = []
    for index in indices:
        if isinstance(index, Tensor) and index.dtype in (torch.bool, torch.uint8):
            if isinstance(index, HollowTensor):
                raise ContentNeededError("a mask without content chooses nothing")
            found += index.nonzero(as_tuple=True)
        else:
            found.append(index)
    return found


def shapes_of(func: Any, args: tuple[Any, ...], named: Mapping[str, Any]) -> object:  # noqa: ANN401
    """Return what the shape of an operation's result depends on, and how much it computes; hashable."""
    return (func, _key(args), _key(tuple(named.items())) if named else ())


def _key(value: Any) -> Any:  # noqa: ANN401
    # Types themselves: this is asked a million times, and nearly all are one of these.
    kind = type(value)
    if kind is HollowTensor or isinstance(value, Tensor):
        return value.shape, value.stride(), value.dtype
    if kind is list or kind is tuple:
        return tuple(map(_key, value))
    return kind, value


def _on_meta(func: Any, args: tuple[Any, ...], named: Mapping[str, Any]) -> Any:  # noqa: ANN401
    return func(*map(_moved, args), **{name: _moved(value) for name, value in named.items()})


def _moved(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, HollowTensor):
        return value.inner
    if isinstance(value, Tensor):
        return value.to(_META)
    if isinstance(value, list | tuple):
        return [_moved(one) for one in value]
    return _META if isinstance(value, torch.device) else value


def _hollow(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, Tensor):
        return HollowTensor(value)
    return [_hollow(one) for one in value] if isinstance(value, list | tuple) else value


def _shape(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, Tensor):
        return value.size(), value.stride(), value.dtype
    return [_shape(one) for one in value] if isinstance(value, list | tuple) else None


def _blank(shape: Any) -> Any:  # noqa: ANN401
    if isinstance(shape, list):
        return tuple(map(_blank, shape))
    if shape is None:
        return None
    size, stride, dtype = shape
    return HollowTensor(torch.empty_strided(size, stride, dtype=dtype, device=_META))
