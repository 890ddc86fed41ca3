"""What a sweep shows while it runs: bars and a table on a terminal that somebody looks at, lines everywhere else."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text


class SweepDisplay:
    """The bar of a whole sweep, the bar of the stage that is going on, and the table of what is done."""

    def __init__(self, live: Live, progress: Progress, label: str, total: int) -> None:
        self._live = live
        self._left = _TimeLeft()
        self._sweep = progress.add_task(label, total=total, unit="runs", left=self._left)
        self._progress = progress

    def advance(self, seconds_left: float | None) -> None:
        """Count one run as done.

        Args:
            seconds_left: How long the others will take; None if that cannot be said.
        """
        self._left.set(seconds_left)
        self._progress.advance(self._sweep)
        self._live.refresh()

    @contextmanager
    def stage(self, label: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
        """Show a bar below the sweep's for the length of the block; yield what counts on it."""
        task = self._progress.add_task(f"  {label}", total=total, unit=f"{unit}s")
        self._live.refresh()
        try:
            yield lambda n: self._progress.advance(task, n)
        finally:
            self._progress.remove_task(task)

    def show(self, table: RenderableType) -> None:
        """Show a table below the bars, in the place of an earlier one."""
        self._live.update(Group(self._progress, table), refresh=True)

    def say(self, line: str) -> bool:
        """Print a line above the bars, if they are drawn on standard output; tell whether they are."""
        if self._live.console.file is not sys.stdout:
            return False
        self._live.console.print(Text(line), soft_wrap=True)
        return True


class _TimeLeft:
    """Counts down from the last estimate."""

    def __init__(self) -> None:
        self._until: float | None = None

    def set(self, seconds: float | None) -> None:
        self._until = None if seconds is None else time.monotonic() + seconds

    def __str__(self) -> str:
        if self._until is None:
            return ""
        minutes, seconds = divmod(round(max(self._until - time.monotonic(), 0)), 60)
        hours, minutes = divmod(minutes, 60)
        clock = f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
        return f"about {clock} left"


class _Time(ProgressColumn):
    """A sweep's time left, and how long a stage has been going on."""

    def render(self, task: Task) -> Text:
        left = task.fields.get("left")
        return Text(f"{task.elapsed or 0:.0f} s" if left is None else str(left))


_display: SweepDisplay | None = None


@contextmanager
def sweep_display(label: str, total: int) -> Iterator[SweepDisplay | None]:
    """Show a sweep for the length of the block.

    Args:
        label: Name of the sweep.
        total: How many runs there are to make.

    Yields:
        What is shown; None where nobody looks.
    """
    global _display
    console = _terminal()
    if console is None:
        yield None
        return
    progress = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[unit]}", markup=False),
        _Time(),
        console=console,
    )
    # The streams stay as they are: what libraries print must not end up in another one.
    with Live(
        progress, console=console, transient=True, redirect_stdout=False, redirect_stderr=False
    ) as live:
        _display = SweepDisplay(live, progress, label, total)
        try:
            yield _display
        finally:
            _display = None


@contextmanager
def stage_bar(label: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
    """Show how far one stage of a run is, below the sweep's bar; without that there is no bar.

    Args:
        label: What is going on.
        total: How many units there are.
        unit: What is counted.

    Yields:
        A function that counts units as done.
    """
    if _display is None:
        yield _uncounted
        return
    with _display.stage(label, total, unit) as advance:
        yield advance


def say(line: str) -> None:
    """Print a line on standard output without tearing what is shown there."""
    if _display is None or not _display.say(line):
        print(line, flush=True)


def _uncounted(n: int) -> None:
    """Count nothing: nobody looks."""


def _terminal() -> Console | None:
    """Return the terminal that somebody looks at: standard output, else standard error; None in a file or in CI."""
    if os.environ.get("CI"):
        return None
    for stream in (sys.stdout, sys.stderr):
        console = Console(file=stream, highlight=False)
        if stream.isatty() and console.is_terminal and not console.is_dumb_terminal:
            return console
    return None
