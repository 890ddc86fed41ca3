"""Hydra looks for sweepers in this namespace package only; ours lives in `ablate.sweep`."""

from ablate.sweep.sweeper import AblationSweeper


class AblateSweeper(AblationSweeper):
    """Expand ablations into runs and hand them to the chosen launcher."""
