"""What becomes of each ablation of a plan: runnable, runnable after a choice, or not expressible here."""

import re
from dataclasses import dataclass, replace
from pathlib import Path

from hydra.errors import HydraException

from ablate.plans.base import Base
from ablate.plans.draft import Draft, draft
from ablate.plans.match import Part, match_action, match_part
from ablate.plans.plan import Plan, PlannedAblation
from ablate.plans.values import NoValueError
from ablate.plans.vocabulary import vocabulary

RUNNABLE = "runnable"
AFTER_A_CHOICE = "runnable after a choice"
NOT_EXPRESSIBLE = "not expressible here"
# A remark with a number, such as "(r = 64)": the value that the plan starts from.
_ASIDE = re.compile(r"[(\[]([^()\[\]]*\d[^()\[\]]*)[)\]]")
_LONGEST_NAME = 40


@dataclass(frozen=True)
class Outcome:
    """One ablation of a plan, and what it became.

    Attributes:
        planned: The ablation, in the plan's words.
        action: REPLACE, REMOVE or ADD; None where that is not known.
        name: Name of the ablation and of its file; None where there is none.
        verdict: One of the three.
        reasons: What has to be chosen, or why it cannot be expressed.
        drafts: What it may be: one where that is beyond doubt, none where it cannot be expressed.
        doubt: Why it is not sure what is varied; None where it is.
    """

    planned: PlannedAblation
    action: str | None
    name: str | None
    verdict: str
    reasons: tuple[str, ...]
    drafts: tuple[Draft, ...] = ()
    doubt: str | None = None


def outcomes(plan: Plan, base: Base) -> list[Outcome]:
    """Draft every ablation of a plan, and name the files.

    Raises:
        HydraException: If the base cannot be composed.
        ConfigError: If a file that it is composed from is not what a configuration file may be.
    """
    stem = _slug(Path(plan.file).stem) or "plan"
    taken: set[str] = set()
    named = []
    for outcome in (_outcome(planned, base) for planned in plan.ablations):
        if outcome.drafts:
            first = name = f"{stem}-{outcome.drafts[0].topic}"
            number = 2
            while name in taken:
                name, number = f"{first}-{number}", number + 1
            taken.add(name)
            outcome = replace(outcome, name=name)
        named.append(outcome)
    return named


def _outcome(planned: PlannedAblation, base: Base) -> Outcome:
    if planned.problem is not None:
        return Outcome(planned, None, None, NOT_EXPRESSIBLE, (planned.problem,))
    match = match_action(planned.action)
    if match.doubt is not None:
        reason = f"its action is '{planned.action}'; allowed: {', '.join(vocabulary().actions)}"
        return Outcome(planned, None, None, NOT_EXPRESSIBLE, (reason,))
    action = match.fits[0]
    whole, part = _with_aside(planned)
    drafts: list[Draft] = []
    failures: list[str] = []
    for topic in part.fits:
        try:
            drafts.append(draft(whole, action, part, topic, base))
        except NoValueError as error:
            failures.append(str(error))
        except HydraException as error:
            lines = str(error).splitlines() or [type(error).__name__]
            failures.append(f"--base does not fit it: {lines[0]}")
    if not drafts:
        reasons = tuple(dict.fromkeys(failures)) or (str(part.doubt),)
        return Outcome(planned, action, None, NOT_EXPRESSIBLE, reasons)
    # Of several keys that fit, only one may be there.
    doubt = None if part.is_worded and len(drafts) == 1 else part.doubt
    if doubt is not None:
        keys = ", ".join(dict.fromkeys(one.key for one in drafts))
        reasons = (f"what is varied, perhaps {keys} ({doubt})",)
        return Outcome(planned, action, None, AFTER_A_CHOICE, reasons, tuple(drafts), doubt)
    choices = drafts[0].choices
    verdict = AFTER_A_CHOICE if choices else RUNNABLE
    return Outcome(planned, action, None, verdict, choices, (drafts[0],))


def _with_aside(planned: PlannedAblation) -> tuple[PlannedAblation, Part]:
    """Match a part; a number in brackets after it is the baseline, if the rest is beyond doubt."""
    part = match_part(planned.part)
    asides = _ASIDE.findall(planned.part)
    if part.doubt is None or len(asides) != 1:
        return planned, part
    rest = match_part(_ASIDE.sub(" ", planned.part))
    if rest.doubt is not None:
        return planned, part
    start = f"{asides[0]} ({vocabulary().baseline[0]})"
    return replace(planned, replacements=(start, *planned.replacements)), rest


def _slug(text: str) -> str:
    """Make a name of letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower())[:_LONGEST_NAME].strip("-")
