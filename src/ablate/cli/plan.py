"""`ablate plan`: what the same words would run, what is done already, and what the rest costs; runs nothing."""

import argparse
import csv
import json
import os
import sys
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import yaml
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from ablate.cli.explain import explain
from ablate.cli.parser import Parser
from ablate.cli.plan_words import specs_of
from ablate.config.errors import ConfigError, one_line, unknown
from ablate.sweep.expansion import RunSpec

if TYPE_CHECKING:
    from ablate.pricing.plan import Plan

HELP = """\
ablate plan - what `ablate run` with the same words would run, what is done already, and what the rest costs

usage: ablate plan [WORDS OF ablate run] [flags]

  --device NAME            plan for a device of configs/accelerators.yaml; else for the one that is here
  --calibrate              first time a few steps and batches on the device that is here, and keep how fast they were
                           below the output folder: hours then rest on that
  --utilisation LOW-HIGH   share of the device's peak that is used; else 0.3-0.5
  --format FORMAT          terminal, csv or json

Without --calibrate nothing is run or loaded, and nothing is downloaded: models that are not on disk are planned by
their shipped sizes.

exit codes: 0 planned, 2 an error in usage or configuration
"""
FORMATS = ("terminal", "csv", "json")
_USUAL_UTILISATION = "0.3-0.5"
_USAGE = (ConfigError, HydraException, OmegaConfBaseException, yaml.YAMLError)


def plan(arguments: list[str]) -> int:
    """Run `ablate plan ARGUMENTS`.

    Returns:
        0, or 2 for an error in usage or configuration.
    """
    if {"-h", "--help"} & {*arguments}:
        print(HELP, end="")
        return 0
    # A plan asks no hub; libraries read this when they are imported.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
    words: list[str] = []
    try:
        parser = _parser()
        given, words = parser.split(arguments)
        _check(given)
        _print(_plan(given, specs_of(words, parser.flags())), given.format)
    except _USAGE as error:
        print(f"ablate plan: {one_line(explain(error, words))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> Parser:
    parser = Parser("ablate plan")
    parser.add_argument("--device")
    parser.add_argument("--calibrate", action="store_true")
    parser.add_argument("--utilisation", default=_USUAL_UTILISATION)
    parser.add_argument("--format", default=FORMATS[0])
    return parser


def _check(given: argparse.Namespace) -> None:
    if given.format not in FORMATS:
        raise unknown("format", given.format, FORMATS)
    if given.calibrate and given.device is not None:
        raise ConfigError(
            "--calibrate times the device that is here, but --device names another. Fix: leave --device out."
        )
    _utilisation(given.utilisation)


def _utilisation(text: str) -> tuple[float, float]:
    low, dash, high = text.partition("-")
    try:
        found = float(low), float(high if dash else low)
    except ValueError:
        found = 0.0, 0.0
    if not 0 < found[0] <= found[1] <= 1:
        raise ConfigError(
            f"--utilisation is '{text}'; allowed: shares above 0 and up to 1, such as 0.4 or 0.3-0.5. "
            f"Fix: --utilisation {_USUAL_UTILISATION}."
        )
    return found


def _plan(given: argparse.Namespace, specs: Sequence[RunSpec]) -> "Plan":
    from ablate.pricing.devices import device_here, named_device
    from ablate.pricing.hours import Utilisation
    from ablate.pricing.plan import make_plan
    from ablate.pricing.stand_in import stand_ins

    precisions = {spec.config.precision for spec in specs}
    if len(precisions) > 1:
        raise ConfigError(
            f"precision is {' and '.join(sorted(precisions))}; a plan is for one. Fix: a plan for each."
        )
    (precision,) = precisions
    if given.device is None:
        device = device_here(specs[0].config.device, precision)
    else:
        device = named_device(given.device, precision)
    if given.calibrate:
        from ablate.pricing.calibrate import calibrate
        from ablate.sweep.prepared import prepare_all

        calibrate(prepare_all(specs), device)
    with stand_ins() as replaced, warnings.catch_warnings():
        # What transformers has to say of a model is said when it is run.
        warnings.simplefilter("ignore")
        return make_plan(specs, device, Utilisation(*_utilisation(given.utilisation)), replaced)


def _print(made: "Plan", format_: str) -> None:
    from ablate.pricing.plan import assumptions, headline, summary
    from ablate.pricing.show import table
    from ablate.report.tables.terminal import display

    if format_ == "json":
        content = {
            "runs": made.rows,
            "gpu_hours": None if made.hours is None else [made.hours.low, made.hours.high],
            "is_lower_bound": bool(made.not_priced),
            "summary": list(summary(made)),
            "assumptions": list(assumptions(made)),
        }
        print(json.dumps(content, indent=1))
        return
    if format_ == "csv":
        writer = csv.DictWriter(sys.stdout, list(made.rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(made.rows)
        for line in (*summary(made), *assumptions(made)):
            print(line, file=sys.stderr)
        return
    print(headline(made))
    display(table(made.rows))
    for line in summary(made):
        print(line)
    for line in assumptions(made):
        print(f"assumed: {line}")
