"""`ablate report`: tables, pictures and a page from the runs that are there; no model is loaded."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ablate.cli.parser import Parser
from ablate.config.errors import ConfigError, nearest, one_line, unknown
from ablate.config.text import printable

HELP = """\
ablate report - verdicts, tables, pictures and a page from finished runs

usage: ablate report [DIR...] [FLAGS]          ablate report outputs/rank

Without flags the table is printed, and summary.csv, figures/ and report.html are written to DIR. Without DIR it is
every sweep below outputs/. Several folders are merged by run id, those of several machines, say.

  --format FORMAT      print only: terminal, markdown, latex or csv; html writes report.html alone
  --compare            show several folders side by side instead of merging them
  --where KEY=VALUE    only runs with this value in results.csv; several KEYs may be given, and all count
  --margin NUMBER      differences up to this count as none (default: the smallest that could have been shown);
                       METRIC=NUMBER for one metric, NUMBER for all that are fractions
  --output FOLDER      write the files there; needed for files of several folders, or of --where
  --watch              show the table of a running sweep until Ctrl-C

exit codes: 0 reported, 2 an error in usage
"""
FORMATS = ("terminal", "markdown", "latex", "html", "csv")


def report(arguments: list[str]) -> int:
    """Run `ablate report ARGUMENTS`.

    Returns:
        0, or 2 for an error in usage.
    """
    if "-h" in arguments or "--help" in arguments:
        print(HELP, end="")
        return 0
    try:
        given = _parser().read(arguments)
        _check(given)
        folders = given.folders or _sweeps(Path("outputs"))
        where, margins = _pairs(given.where), _margins(given.margin)
        if given.watch:
            return _watch(folders, where, margins)
        if given.compare:
            _compare(folders, where, margins, given.format or "terminal")
        elif given.folders or len(folders) == 1:
            _one(folders, where, margins, given)
        elif given.output is not None:
            raise ConfigError(
                f"--output is one folder, and there are {len(folders)} sweeps below 'outputs'. "
                "Fix: ablate report DIR --output FOLDER."
            )
        elif given.format == "csv":
            _compare(folders, where, margins, "csv")
        else:
            for folder in folders:
                if given.format in (None, "terminal"):
                    print(f"\n{printable(str(folder))}")
                _one([folder], where, margins, given)
    except ConfigError as error:
        return _refused(str(error))
    except OSError as error:
        place = f" '{error.filename}'" if error.filename else ""
        return _refused(f"{error.strerror}{place}. Fix: --output FOLDER writes elsewhere.")
    except KeyboardInterrupt:
        return 130
    return 0


def _refused(why: str) -> int:
    print(f"ablate report: {one_line(why)}", file=sys.stderr)
    return 2


def _parser() -> Parser:
    parser = Parser("ablate report")
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--format")
    parser.add_argument("--compare", action="store_true")
    parser.add_argument("--where", action="append", default=[])
    parser.add_argument("--margin", action="append", default=[])
    parser.add_argument("--output", type=Path)
    parser.add_argument("--watch", action="store_true")
    return parser


def _check(given: argparse.Namespace) -> None:
    if given.format is not None and given.format not in FORMATS:
        raise unknown("format", given.format, FORMATS)
    if given.compare and len(given.folders) < 2:
        raise ConfigError("--compare needs several folders. Fix: ablate report --compare DIR DIR.")
    if given.compare and (given.output is not None or given.format == "html"):
        raise ConfigError(
            "--compare is a table: it writes no files. Fix: ablate report DIR for the page of one folder."
        )
    if given.output is not None and given.format not in (None, "html"):
        raise ConfigError(
            f"--output is for files, but --format {given.format} is printed. Fix: leave one of them out."
        )
    if given.format == "html" and given.output is None and (given.where or len(given.folders) > 1):
        of = "--where" if given.where else "several folders"
        raise ConfigError(
            f"--format html writes files, and a part of a folder's runs, or those of several, have none of their own"
            f" ({of}). Fix: --output FOLDER."
        )
    if given.watch and (given.compare or given.output or given.format not in (None, "terminal")):
        raise ConfigError("--watch shows the table alone. Fix: leave the other flags out.")
    if given.watch and not sys.stdout.isatty():
        raise ConfigError("--watch needs a terminal. Fix: ablate report without it.")


def _pairs(words: Sequence[str]) -> dict[str, str]:
    for word in words:
        if "=" not in word:
            raise ConfigError(f"--where is '{word}'. Fix: --where KEY=VALUE, such as method=lora.")
    keys = [word.partition("=")[0] for word in words]
    for key in keys:
        if keys.count(key) > 1:
            raise ConfigError(
                f"--where names '{key}' twice, and no run has two values of it. Fix: one VALUE for each KEY."
            )
    return {word.partition("=")[0]: word.partition("=")[2] for word in words}


def _margins(words: Sequence[str]) -> dict[str, float]:
    from ablate.results.columns import METRICS

    margins: dict[str, float] = {}
    for word in words:
        metric, _, text = word.rpartition("=")
        if metric and metric not in METRICS:
            match = nearest(metric, METRICS)
            hint = f" Did you mean '{match}'?" if match else ""
            raise ConfigError(f"--margin names '{metric}', which is no metric.{hint}")
        try:
            margin = float(text)
        except ValueError:
            margin = -1.0
        if not 0 < margin < float("inf"):
            raise ConfigError(
                f"--margin is '{text}'; allowed: a number above 0. Fix: --margin 0.02."
            )
        fractions = [name for name, one in METRICS.items() if one.unit == "fraction"]
        margins |= dict.fromkeys([metric] if metric else fractions, margin)
    return margins


def _sweeps(outputs: Path) -> list[Path]:
    found = sorted(path.parent for path in outputs.glob("*/runs") if path.is_dir())
    if not found:
        raise ConfigError(f"No sweep below '{outputs}'. Fix: ablate report DIR.")
    return found


def _one(
    folders: Sequence[Path],
    where: Mapping[str, str],
    margins: Mapping[str, float],
    given: argparse.Namespace,
) -> None:
    """Report one folder, or several as one."""
    from ablate.report.compare import report_of
    from ablate.report.load import load, only
    from ablate.report.publish import draw, summarise
    from ablate.report.summary import write_summary
    from ablate.report.tables.show import missing, printed, show

    own = folders[0] if len(folders) == 1 and not where else None
    place, is_whole = given.output or own, given.format is None
    if given.output is not None:
        given.output.mkdir(parents=True, exist_ok=True)
    if is_whole and place is not None and place == own:
        found = summarise(place, margins)
    else:
        found = report_of(only(load(folders), where), margins)
        if is_whole and place is not None:
            write_summary(found, place)
    if given.format in (None, "terminal"):
        show(found)
    elif given.format != "html":
        print(printed([(None, found)], given.format), end="")
    is_read_by_people = given.format in (None, "terminal", "html")
    for line in missing(found.loaded):
        print(line, file=sys.stdout if is_read_by_people else sys.stderr)
    if given.format not in (None, "html"):
        return
    if place is None:
        why = "--where" if where else "several folders"
        print(f"no files written, because of {why}. --output FOLDER writes them")
    elif found.ablations:
        for path in draw(found, place, is_whole):
            print(printable(str(path)))


def _compare(
    folders: Sequence[Path], where: Mapping[str, str], margins: Mapping[str, float], format_: str
) -> None:
    """Show folders side by side, each compared with its own baseline."""
    from ablate.report.compare import report_of
    from ablate.report.load import load, only
    from ablate.report.tables.show import missing, printed, show_side_by_side

    names = [folder.resolve().name for folder in folders]
    labels = names if len(set(names)) == len(names) else [str(folder) for folder in folders]
    reports = [
        (label, report_of(only(load([folder]), where), margins))
        for label, folder in zip(labels, folders, strict=True)
    ]
    if format_ == "terminal":
        show_side_by_side(reports)
    else:
        print(printed(reports, format_), end="")
    for label, one in reports:
        for line in missing(one.loaded):
            print(
                printable(f"{label}: {line}"),
                file=sys.stdout if format_ == "terminal" else sys.stderr,
            )


def _watch(folders: Sequence[Path], where: Mapping[str, str], margins: Mapping[str, float]) -> int:
    """Show the table again whenever a run ends."""
    from ablate.report.watch import watch

    watch(folders, where, margins)
    return 0
