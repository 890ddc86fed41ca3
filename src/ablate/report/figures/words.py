"""Columns of results.csv in words, and their numbers as they are read."""

import math

# What a column is, in the words of an axis; any other is named as it is, without underscores.
_WORDS = {
    "accuracy": "accuracy on the target",
    "accuracy_before": "accuracy before adaptation",
    "target_improvement": "gain on the target",
    "control_change": "change on the controls",
    "forgetting": "forgetting of earlier sessions",
    "vision_stable_score": "vision stable score",
    "text_stable_score": "text stable score",
    "trainable_parameters": "trained scalars",
    "effective_parameters": "trained scalars that count",
    "peak_memory_bytes": "peak memory",
    "train_seconds": "training time",
    "adaptation_seconds": "training time, importance included",
}
_DIFFERENCES = ("target_improvement", "control_change")
_SUFFIXES = ((1e9, "B"), (1e6, "M"), (1e3, "k"))


def words_of(metric: str) -> str:
    """Name a column of results.csv in words."""
    return _WORDS.get(metric) or metric.replace("_", " ")


def is_difference(metric: str) -> bool:
    """Tell whether a metric is a difference of fractions, whose zero means no change."""
    return metric in _DIFFERENCES


def show(metric: str, value: float, digits: int = 3, step: float = 0.0) -> str:
    """Write a number of a column: fractions with `digits` decimals, amounts with their unit.

    Args:
        metric: Column of results.csv.
        value: The number.
        digits: Decimals of a fraction.
        step: At an axis, how far ticks are apart: amounts are written so that these differ.
    """
    if metric.endswith("_bytes"):
        size, unit, least = (1e9, "GB", 2) if value >= 1e8 else (1e6, "MB", 0)
        return f"{value / size:.{digits_of_step(step / size, least)}f} {unit}"
    if metric.endswith("_seconds"):
        return f"{value:.{digits_of_step(step, 0 if value >= 10 else 1)}f} s"
    if metric.endswith("_parameters") or metric.startswith("n_"):
        return amount(value, step)
    if is_difference(metric):
        return signed(value, digits)
    return f"{value:.{digits}f}"


def amount(value: float, step: float = 0.0) -> str:
    """Write a count with three figures at most, 850, 84.3k, 1.2M; at an axis as finely as ticks are apart."""
    for size, suffix in _SUFFIXES:
        if abs(value) >= size:
            scaled = value / size
            if step:
                return f"{scaled:.{digits_of_step(step / size, 0)}f}{suffix}"
            return f"{scaled:.3g}{suffix}" if abs(scaled) < 999.5 else f"{scaled:.0f}{suffix}"
    return f"{value:g}"


def signed(value: float, digits: int = 3) -> str:
    """Write a difference with its sign, a true minus: `+0.050`, `−0.050`; what rounds to zero has none."""
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text.replace("-", "\N{MINUS SIGN}")


def digits_of_step(step: float, least: int = 2) -> int:
    """Return how many decimals write multiples of a step of 1, 2 or 5 times a power of ten; `least` or more."""
    return max(least, -math.floor(math.log10(step) + 1e-9)) if step > 0 else least
