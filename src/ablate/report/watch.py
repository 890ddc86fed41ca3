"""The table of a sweep that runs elsewhere, shown again whenever a run ends."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Group
from rich.live import Live
from rich.text import Text

from ablate.config.errors import one_line
from ablate.config.text import printable
from ablate.report.compare import report_of
from ablate.report.load import NoRunError, load, only
from ablate.report.tables.show import missing
from ablate.report.tables.terminal import console, rendered, whole

_SECONDS = 2.0


def watch(folders: Sequence[Path], where: Mapping[str, str], margins: Mapping[str, float]) -> None:
    """Show a table until Ctrl-C; the runs are read again when a result.json was written.

    Args:
        folders: Sweep folders.
        where: Value by column of results.csv: the runs that are shown.
        margins: The user's margins of equivalence, by metric.

    Raises:
        ConfigError: If a folder is not a sweep's, or a column of `where` is not one of results.csv.
    """
    seen: object = None
    with Live(console=console(), auto_refresh=False) as live:
        while True:
            now = _results(folders)
            if now != seen:
                seen = now
                live.update(_page(folders, where, margins), refresh=True)
            time.sleep(_SECONDS)


def _page(folders: Sequence[Path], where: Mapping[str, str], margins: Mapping[str, float]) -> Group:
    at = f"at {time.strftime('%H:%M:%S')}; Ctrl-C ends"
    try:
        loaded = only(load(folders), where)
    except NoRunError as nothing_yet:
        return Group(Text(printable(f"0 runs {at}")), Text(printable(one_line(str(nothing_yet)))))
    now = f"{len(loaded.finished)} runs {at}"
    lines = [Text(printable(line)) for line in (now, *missing(loaded))]
    return Group(*lines, whole(rendered(report_of(loaded, margins), with_words=False)))


def _results(folders: Sequence[Path]) -> dict[Path, int]:
    """Return when each run's outcome was written."""
    found = {}
    for path in (path for folder in folders for path in folder.glob("runs/*/result.json")):
        try:
            found[path] = path.stat().st_mtime_ns
        except OSError:
            continue
    return found
