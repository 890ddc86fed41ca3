"""What a piece of code takes: operations by torch's own formulas, and the most bytes that are alive at once."""

import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import (
    flop_registry,
    sdpa_backward_flop_count,
    sdpa_flop_count,
    shape_wrapper,
)

from ablate.pricing.hollow import HollowTensor, compute_shapes, hollow_if_large, shapes_of

_aten = torch.ops.aten


def _attention(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:  # noqa: ANN401
    return int(sdpa_flop_count(query, key, value))


def _attention_backward(gradient: Any, query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:  # noqa: ANN401
    return int(sdpa_backward_flop_count(gradient, query, key, value))


# Torch's `FlopCounterMode` counts the fused attention of GPUs; that of CPUs is the same products.
FUSED_ATTENTION = {
    _aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    _aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
}
# Operations by what is done and the shapes that it is done to: a model's layers are alike.
_flops: dict[object, int] = {}


class Meter(TorchDispatchMode):
    """Counts what its block takes, on hollow tensors or real ones.

    Bytes are those of the storages that torch's operations return and nothing has let go of, each once; what an
    operation needs while it computes, and what an allocator loses between blocks, is not among them.

    Attributes:
        peak_bytes: The most bytes alive at once.
        read_bytes: Weights read from memory for the sake of a single token each, where that is what takes the time.
    """

    def __init__(self, alive: Iterable[Tensor], absent_bytes: int = 0) -> None:
        """Start from what is there already.

        Args:
            alive: Such as the model's weights.
            absent_bytes: Those of what is there in a run, but not here.
        """
        super().__init__()  # type: ignore[no-untyped-call]
        self.read_bytes = 0
        self.peak_bytes = self._bytes = absent_bytes
        self._flops = self._last_lap = 0.0
        self._factor = 1.0
        self._alive: dict[int, _Storage] = {}
        self._fresh: set[int] | None = None
        for tensor in alive:
            self._add(tensor)

    @property
    def flops(self) -> int:
        """Floating-point operations of products and convolutions so far, a multiplication and an addition being two."""
        return int(self._flops)

    def lap(self) -> int:
        """Return what has been counted since the last call."""
        before, self._last_lap = self._last_lap, self._flops
        return int(self._last_lap - before)

    def rise(self, work: Callable[[], object]) -> int:
        """Do some work, and return the most bytes that it takes beside what is there."""
        most, self.peak_bytes = self.peak_bytes, self._bytes
        before = self._bytes
        work()
        risen = self.peak_bytes - before
        self.peak_bytes = max(most, self.peak_bytes)
        return risen

    def rise_again(self, n_bytes: int) -> None:
        """Count so many bytes beside what is there, for a moment."""
        self.peak_bytes = max(self.peak_bytes, self._bytes + n_bytes)

    @contextmanager
    def times(self, factor: float) -> Iterator[None]:
        """Count the operations of a block so many times."""
        before, self._factor = self._factor, self._factor * factor
        yield
        self._factor = before

    def enter(self, times: int) -> None:
        """Begin to count operations so many times: a layer computes that stands for so many."""
        self._before, self._factor = self._factor, self._factor * times
        self._fresh = set()

    def leave(self) -> None:
        """End what `enter` began."""
        self._factor = self._before

    def settle(self, times: int, result: Tensor) -> None:
        """Count what the layer keeps so many times, but for its result, which goes on to the next."""
        own = _storage(result)._cdata
        for place in self._fresh or ():
            if place != own:
                self._weigh(place, times)
        self._fresh = None

    def weigh(self, tensor: Tensor, times: int) -> None:
        """Count a tensor's storage so many times, if it is known."""
        self._weigh(_storage(tensor)._cdata, times)

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401  # an operation of torch's
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        """Do what is asked for, and count it."""
        named = kwargs or {}
        if _is_composite(func):
            # In inference mode these arrive whole.
            with self:
                return func.decompose(*args, **named)
        if HollowTensor in types:
            found = compute_shapes(func, args, named)
        else:
            found = hollow_if_large(func, args, named)
            if found is None:
                found = func(*args, **named)
        formula = _formula(func)
        if formula is not None:
            key = shapes_of(func, args, named)
            if key not in _flops:
                _flops[key] = formula(*args, **named, out_val=found)
            self._flops += self._factor * _flops[key]
        for tensor in found if isinstance(found, list | tuple) else (found,):
            if isinstance(tensor, Tensor):
                self._add(tensor)
        return found

    def _add(self, tensor: Tensor) -> None:
        """Count a tensor's storage, unless it is known."""
        storage = _storage(tensor)
        place = storage._cdata
        if place not in self._alive:
            size = storage.nbytes()
            self._alive[place] = _Storage(weakref.ref(storage, lambda _: self._drop(place)), size)
            self._grow(size)
            if self._fresh is not None:
                self._fresh.add(place)

    def _weigh(self, place: int, times: int) -> None:
        found = self._alive.get(place)
        if found is not None:
            self._grow((times - 1) * found.n_bytes)
            found.n_bytes *= times

    def _grow(self, n_bytes: int) -> None:
        self._bytes += n_bytes
        self.peak_bytes = max(self.peak_bytes, self._bytes)

    def _drop(self, place: int) -> None:
        self._bytes -= self._alive.pop(place).n_bytes


@dataclass
class _Storage:
    """A storage that is alive, and the bytes that it counts."""

    reference: "weakref.ref[Any]"
    n_bytes: int


def _storage(tensor: Tensor) -> torch.UntypedStorage:
    return (tensor.inner if isinstance(tensor, HollowTensor) else tensor).untyped_storage()


@cache
def _formula(func: Any) -> Any:  # noqa: ANN401
    """Return how many operations something is, if it is a product or a convolution."""
    fused = FUSED_ATTENTION.get(func.overloadpacket)
    return flop_registry.get(func.overloadpacket) if fused is None else shape_wrapper(fused)


@cache
def _is_composite(func: Any) -> bool:  # noqa: ANN401
    """Tell whether something consists of other operations, and has no formula of its own."""
    composite = torch._C.DispatchKey.CompositeImplicitAutograd
    has_parts = torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), composite)
    return bool(has_parts) and _formula(func) is None
