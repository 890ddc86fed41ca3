"""How long the rest of a sweep will take, from the runs that are done."""

import statistics
from collections.abc import Mapping, Sequence


def seconds_left(
    waiting: Sequence[str | None], done: Mapping[str | None, Sequence[float]]
) -> float | None:
    """Add up what the waiting runs will take: as long as runs of the same configuration did, else as all did.

    Args:
        waiting: The configuration of every run that is not done.
        done: The seconds of the runs that are done, by configuration.

    Returns:
        Seconds; None if no run is done.
    """
    everything = [seconds for own in done.values() for seconds in own]
    if not everything:
        return None
    average = statistics.fmean(everything)
    own = {config: statistics.fmean(seconds) for config, seconds in done.items() if seconds}
    return sum(own.get(config, average) for config in waiting)
