"""Counter-based random numbers: item n of a named stream is the same whenever it is drawn."""

import hashlib

import numpy as np
from numpy.typing import NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Scramble 64-bit integers with the finaliser of SplitMix64 (Steele et al., OOPSLA 2014)."""
    values = (values ^ (values >> np.uint64(30))) * _FIRST
    values = (values ^ (values >> np.uint64(27))) * _SECOND
    return values ^ (values >> np.uint64(31))


def uniforms(stream: str, indices: NDArray[np.int64], n_values: int) -> NDArray[np.float64]:
    """Draw random numbers that depend on nothing but the stream's name and the item's index.

    Args:
        stream: Name of the stream; different names are independent.
        indices: `[n]` item indices, in any order and number.
        n_values: Numbers per item.

    Returns:
        `[n, n_values]`, uniform in 0..1 (1 excluded).
    """
    key = np.frombuffer(hashlib.sha256(stream.encode()).digest()[:8], dtype="<u8")
    items = _mix(key + (indices.astype(np.uint64) + np.uint64(1)) * _GOLDEN)
    counters = np.arange(1, n_values + 1, dtype=np.uint64) * _GOLDEN
    bits = _mix(items[:, None] + counters[None, :])
    return (bits >> np.uint64(11)).astype(np.float64) / float(1 << 53)
