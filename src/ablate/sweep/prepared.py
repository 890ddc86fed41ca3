"""Expanded runs, checked against their data and models: what comes before any of them is made."""

from collections.abc import Sequence

from ablate.runner.prepare import PreparedRun, prepare
from ablate.sweep.axes import check_axes
from ablate.sweep.expansion import RunSpec


def prepare_all(specs: Sequence[RunSpec], made_here: bool = True) -> list[PreparedRun]:
    """Check every run, then that the values of each ablation differ in their effect.

    Args:
        specs: The runs.
        made_here: Whether they will be made on this machine, whose devices are then checked.

    Raises:
        ConfigError: If a run could not be made.
    """
    runs = [prepare(spec.config, spec.overrides, made_here) for spec in specs]
    check_axes(runs)
    return runs
