"""Student's t from scipy.special: scipy.stats computes the same, and takes half a second to import."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special


def survival(t: ArrayLike, df: ArrayLike) -> NDArray[np.float64]:
    """Return P(T > t), element by element; with infinite degrees of freedom T is normal."""
    t, df = np.asarray(t, dtype=np.float64), np.asarray(df, dtype=np.float64)
    return np.where(np.isinf(df), special.ndtr(-t), special.stdtr(df, -t))


def quantile(p: ArrayLike, df: ArrayLike) -> NDArray[np.float64]:
    """Return the t below which T is with probability p, element by element."""
    p, df = np.asarray(p, dtype=np.float64), np.asarray(df, dtype=np.float64)
    return np.where(np.isinf(df), special.ndtri(p), special.stdtrit(df, p))
