"""How long operations take: a range, from what a device can do at most and how much of that is used."""

from collections.abc import Iterable
from dataclasses import dataclass

from ablate.pricing.devices import Device
from ablate.pricing.pieces import Piece

_SECONDS_PER_HOUR = 3600.0


@dataclass(frozen=True)
class Hours:
    """A range of hours on one device.

    Attributes:
        low: The fewest.
        high: The most.
    """

    low: float
    high: float

    def __add__(self, other: "Hours") -> "Hours":
        """Add two ranges."""
        return Hours(self.low + other.low, self.high + other.high)


@dataclass(frozen=True)
class Utilisation:
    """The share of a device's peak that is used, of its operations and, word by word, of its memory's speed.

    Attributes:
        low: The least.
        high: The most.
    """

    low: float
    high: float


def hours_at(pieces: Iterable[Piece], device: Device, utilisation: Utilisation) -> Hours | None:
    """Return how long pieces take at a share of a device's peak; None where its peak is not known.

    Pieces without a price are left out.
    """
    peak = device.accelerator
    per_second = device.flops_per_second
    if peak is None or per_second is None:
        return None
    seconds = sum(
        (piece.flops or 0) / per_second + piece.read_bytes / peak.bytes_per_second
        for piece in pieces
    )
    full = seconds / _SECONDS_PER_HOUR
    return Hours(full / utilisation.high, full / utilisation.low)
