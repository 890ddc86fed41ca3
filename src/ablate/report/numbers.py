"""Numbers and values as a reader sees them, whatever the output is."""

from ablate.config.text import printable
from ablate.report.verdict import Comparison
from ablate.results.columns import METRICS
from ablate.results.record import Cell

_MEBIBYTE = 2**20
_MOST_CHARACTERS = 160


def shown(value: Cell) -> str:
    """Return a value of an ablation or a setting as text that any output can escape.

    One that would push a table's numbers out of sight is cut in the middle; summary.csv has it whole.
    """
    text = "none" if value is None else printable(str(value))
    half = _MOST_CHARACTERS // 2
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:half]}...{text[-half:]}"


def number(metric: str, value: float | None, signed: bool = False) -> str:
    """Return a metric's number in its unit: fractions with three decimals, bytes in MiB.

    Args:
        metric: Column of results.csv.
        value: The number; None gives an empty text.
        signed: Whether it is a difference.
    """
    if value is None:
        return ""
    sign = "+" if signed else ""
    match METRICS[metric].unit:
        case "fraction":
            return _zero(f"{value:{sign}.3f}")
        case "seconds":
            return _zero(f"{value:{sign}.2f}") + " s"
        case "bytes":
            return _zero(f"{value / _MEBIBYTE:{sign},.1f}") + " MiB"
        case "count":
            return _zero(f"{value:{sign},.0f}" if value == round(value) else f"{value:{sign},.1f}")


def with_sd(one: Comparison) -> str:
    """Return mean ± standard deviation over seeds."""
    mean = number(one.metric, one.mean)
    return mean if one.sd is None else f"{mean} ± {number(one.metric, one.sd)}"


def seeds(one: Comparison) -> str:
    """Return the seeds of the mean; where the difference is over fewer, or the baseline has others, it says so."""
    return (
        f"{one.n_seeds}"
        if one.common_seeds is None
        else f"{one.n_seeds} ({one.common_seeds} in both)"
    )


def interval(one: Comparison) -> str:
    """Return the 95 % interval of the difference; an empty text where there is none."""
    if one.low is None or one.high is None:
        return ""
    return f"{number(one.metric, one.low, True)} to {number(one.metric, one.high, True)}"


def p_value(p: float | None) -> str:
    """Return p with two significant digits; below 0.001 it only says so."""
    if p is None:
        return ""
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def name_of(one: Comparison) -> str:
    """Return what a configuration is called: its value, and its settings where they differ."""
    settings = ", ".join(f"{key} {shown(value)}" for key, value in one.settings.items())
    if one.value is None:
        return settings
    return f"{shown(one.value)} ({settings})" if settings else shown(one.value)


def _zero(text: str) -> str:
    """Write -0.000 and +0.000 as 0.000."""
    return text.lstrip("+-") if not any(digit in text for digit in "123456789") else text
