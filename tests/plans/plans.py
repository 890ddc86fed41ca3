"""Plans for the tests, and what an import makes of them."""

from collections.abc import Sequence
from pathlib import Path

from ablate.plans.base import Base, read_base
from ablate.plans.outcome import Outcome, outcomes
from ablate.plans.plan import Plan, PlannedAblation

PUBLISHED = Path(__file__).parent / "published"
STABLE = ("vision stable score", "text stable score")


def planned(
    part: str, action: str = "REPLACE", *replacements: str, metrics: Sequence[str] = ("accuracy",)
) -> PlannedAblation:
    return PlannedAblation("A", part, action, replacements, tuple(metrics))


def imported(*ablations: PlannedAblation, base: str = "") -> list[Outcome]:
    return outcomes(Plan("plan.md", "", ablations), Base(read_base([base] if base else [])))


def markdown(**fields: str) -> str:
    """A plan of one ablation; underscores in a field's name are spaces."""
    lines = [f"- **{name.replace('_', ' ')}**: {text}" for name, text in fields.items()]
    return "\n".join(["### One", *lines, ""])
