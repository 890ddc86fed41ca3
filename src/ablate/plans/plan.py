"""A plan as typed values, whatever file it came in."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PlannedAblation:
    """One ablation, in the plan's words.

    Attributes:
        heading: What it is called; may be empty.
        part: The ablated part.
        action: The word under Action.
        replacements: The items under Replacement; none where it says that there is none.
        metrics: The items under Metrics.
        problem: Why a field could not be read, or None.
    """

    heading: str
    part: str
    action: str
    replacements: tuple[str, ...]
    metrics: tuple[str, ...]
    problem: str | None = None


@dataclass(frozen=True)
class Plan:
    """A plan.

    Attributes:
        file: Name of the file, without its folder.
        title: Its title; may be empty.
        ablations: Its ablations, in their order.
    """

    file: str
    title: str
    ablations: tuple[PlannedAblation, ...]
