"""How long operations take: a range, from what was measured or from what a device can do at most."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ablate.pricing.calibration import Rate
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


def hours_at(
    pieces: Iterable[Piece],
    device: Device,
    utilisation: Utilisation,
    rate_of: Callable[[Piece], Rate | None],
) -> Hours | None:
    """Return how long pieces take, by what was measured or else at a share of the device's peak.

    Pieces without a price are left out, unless all are.

    Args:
        pieces: What there is to do.
        device: Where.
        utilisation: The share.
        rate_of: How fast a piece of this kind was on this device; None if that was not measured.

    Returns:
        None if neither a piece's speed nor the device's peak is known, or no piece has a price.
    """
    low = high = 0.0
    peak, per_second = device.accelerator, device.flops_per_second
    to_do = list(pieces)
    if to_do and all(piece.flops is None for piece in to_do):
        return None
    for piece in to_do:
        if not piece.flops:
            continue
        rate = rate_of(piece)
        if rate is not None:
            low, high = low + piece.flops / rate.high, high + piece.flops / rate.low
        elif peak is None or per_second is None:
            return None
        else:
            seconds = piece.flops / per_second + piece.read_bytes / peak.bytes_per_second
            low, high = low + seconds / utilisation.high, high + seconds / utilisation.low
    return Hours(low / _SECONDS_PER_HOUR, high / _SECONDS_PER_HOUR)
