"""`ablate import`: a written plan becomes ablation files."""

import argparse
import shlex
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from ablate.cli.explain import explain
from ablate.cli.parser import Parser
from ablate.config.errors import ConfigError, one_line
from ablate.plans.base import Base, read_base
from ablate.plans.check import check_ablation_file
from ablate.plans.draft import Draft
from ablate.plans.outcome import AFTER_A_CHOICE, RUNNABLE, Outcome, outcomes
from ablate.plans.read import read_plan
from ablate.plans.write import ablation_file, write_files

HELP = """\
ablate import - turn a written ablation plan into ablation files

usage: ablate import PLAN [--to FOLDER] [--base GROUP=NAME,KEY=VALUE,...] [--check]

  PLAN      Markdown, YAML or JSON: for each ablation a heading, Ablated Part, Action, Replacement, Metrics
  --to      the config folder to write to, as FOLDER/ablation/NAME.yaml; else the plan's name without its ending
  --base    what the ablations are made on: model=llava-1.5-7b,data=imagefolder,data.path=photos
  --check   compose and prepare every run before an ablation is called runnable

exit codes: 0 every ablation is runnable, 1 at least one is not, 2 an error in usage or in the plan's file
"""
_USAGE = (ConfigError, HydraException, OmegaConfBaseException)


def import_plan(arguments: list[str]) -> int:
    """Write the ablations of a plan as files, and say of each whether it is runnable.

    Args:
        arguments: The plan, and the flags of `HELP`.

    Returns:
        The exit code.
    """
    if {"-h", "--help"} & {*arguments}:
        print(HELP, end="")
        return 0
    try:
        given = _given(arguments)
        plan = read_plan(given.plan)
        folder = given.to or Path(given.plan.stem)
        found = outcomes(plan, Base(read_base(given.base), folder))
        write_files(folder, {str(o.name): ablation_file(o, plan) for o in found if o.drafts})
    except _USAGE as error:
        print(f"ablate import: {one_line(explain(error, []))}", file=sys.stderr)
        return 2
    is_all_runnable = True
    for outcome in found:
        if given.check and outcome.verdict == RUNNABLE:
            outcome = _checked(outcome, folder)
        is_all_runnable &= outcome.verdict == RUNNABLE
        for line in _lines(outcome, folder, given.check):
            print(line)
    return 0 if is_all_runnable else 1


def _given(arguments: list[str]) -> argparse.Namespace:
    """Read the command line.

    Raises:
        ConfigError: If a flag does not exist or lacks its value, or there is not one plan.
    """
    parser = Parser("ablate import")
    parser.add_argument("plans", nargs="*", type=Path)
    parser.add_argument("--to", type=Path)
    parser.add_argument("--base", action="append", default=[])
    parser.add_argument("--check", action="store_true")
    given = parser.read(arguments)
    if len(given.plans) != 1:
        raise ConfigError(
            f"{len(given.plans)} plans are given; allowed: one. Fix: ablate import PLAN.md."
        )
    (given.plan,) = given.plans
    return given


def _checked(outcome: Outcome, folder: Path) -> Outcome:
    """Compose and prepare the runs of a file; what is refused is a choice that has to be made first."""
    try:
        check_ablation_file(str(outcome.name), folder)
    except _USAGE as error:
        reason = one_line(explain(error, []))
        return replace(outcome, verdict=AFTER_A_CHOICE, reasons=(reason,))
    return outcome


def _lines(outcome: Outcome, folder: Path, is_checked: bool) -> Iterator[str]:
    """Say what became of an ablation."""
    heading = outcome.planned.heading or outcome.planned.part or "(no heading)"
    yield f"{_short(heading)}: {outcome.verdict}"
    for reason in outcome.reasons:
        yield f"  {'to choose: ' if outcome.drafts else ''}{_short(reason, 400)}"
    for draft in outcome.drafts:
        yield from (f"  {line}" for line in _draft_lines(draft))
    if outcome.drafts:
        yield f"  file: {one_line(str(folder / 'ablation' / f'{outcome.name}.yaml'))}"
    if outcome.verdict == RUNNABLE:
        checked = "composed and prepared" if is_checked else "not checked (--check)"
        command = f"ablate run --config-dir {shlex.quote(str(folder))} +ablation={outcome.name}"
        yield f"  run: {one_line(command)}   {checked}"


def _draft_lines(draft: Draft) -> Iterator[str]:
    yield f"{draft.key}: {', '.join(map(str, draft.values)) or 'no value yet'}"
    if draft.baseline is not None:
        yield f"baseline {draft.baseline}: {draft.because}"
    if draft.measured.columns:
        yield f"metrics: {', '.join(draft.measured.columns)}"
    if draft.note:
        yield f"note: {draft.note}"
    for doubt in (*draft.doubts, *draft.measured.doubts):
        candidates = ", ".join(map(str, doubt.candidates))
        perhaps = f"; perhaps {candidates}" if candidates else ""
        yield f'left out: "{_short(doubt.text)}" ({_short(doubt.reason, 400)}{perhaps})'


def _short(text: str, longest: int = 160) -> str:
    line = one_line(text)
    return line if len(line) <= longest else f"{line[: longest - 3]}..."
