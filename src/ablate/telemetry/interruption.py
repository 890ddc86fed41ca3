"""When a run saves its state: every so often, and before it is interrupted; and whether it was."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

# Ctrl-C, what ends a process politely, and what clusters send ahead of a limit.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


class RunInterruptedError(RuntimeError):
    """The process was asked to end, and what answers such signals here raised an error."""


class _Noted:
    """The signal that this process was interrupted by, until that has had its effect."""

    number: signal.Signals | None = None


def interrupt_by(number: int, frame: FrameType | None) -> None:
    """Answer a signal as Ctrl-C is answered, and note it.

    An exception that a signal raises comes up anywhere. Where that is in a call from C, or below a library's own
    `except`, another error takes its place (torch: "could not determine the shape"), or none: so ask
    `was_interrupted` before an error is believed.

    Raises:
        KeyboardInterrupt: Always.
    """
    _Noted.number = signal.Signals(number)
    signal.default_int_handler(number, frame)


def was_interrupted() -> bool:
    """Tell whether a signal has interrupted this process, whatever has become of the exception since."""
    return _Noted.number is not None


def raise_if_interrupted() -> None:
    """Raise again what a signal has raised and something else has caught.

    Raises:
        KeyboardInterrupt: If `was_interrupted`.
    """
    if was_interrupted():
        raise KeyboardInterrupt


def forget_interruption() -> None:
    """Forget it: the interruption has had its effect."""
    _Noted.number = None


def handled() -> dict[signal.Signals, object]:
    """Return the signals that end a run, with what answers them; not those that are ignored, as Ctrl-C below nohup.

    None stands for a handler that Python has not set, which is left alone, too.
    """
    found = {number: signal.getsignal(number) for number in SIGNALS}
    return {n: handler for n, handler in found.items() if handler not in (signal.SIG_IGN, None)}


class SafePoints:
    """The moments at which a run's state is whole, and what is due there."""

    def __init__(self, minutes: float | None, steps: int | None) -> None:
        """Save every so often; before an interruption always.

        Args:
            minutes: Save when so many have passed since the last time; None for no such limit.
            steps: Save after so many steps of training, or batches of evaluation; None for no such limit.
        """
        self._seconds = None if minutes is None else 60 * minutes
        self._steps = steps
        self._n_steps = 0
        self._saved_at = time.monotonic()

    @contextmanager
    def saving(self, save: Callable[[], None]) -> Iterator[Callable[[], None]]:
        """Hold signals back for the length of the block, from one safe point to the next.

        A signal is answered at the next safe point, once the state is saved, by whatever would have answered it
        without the block: Ctrl-C's own handler, or that of a cluster's launcher. A second one is answered at once.
        One whose exception was lost ahead of the block is answered at the block's first safe point.

        Args:
            save: Saves the state; it is whole where the block ends, too.

        Yields:
            What to call at every safe point.

        Raises:
            RunInterruptedError: If what answers a signal raises an error.
        """
        with _HeldSignals() as held:

            def reached() -> None:
                self._n_steps += 1
                if held.pending or self._is_due():
                    save()
                    self._n_steps, self._saved_at = 0, time.monotonic()
                held.answer()

            yield reached
            if held.pending:
                save()

    def _is_due(self) -> bool:
        if self._steps is not None and self._n_steps >= self._steps:
            return True
        return self._seconds is not None and time.monotonic() - self._saved_at >= self._seconds


class _HeldSignals:
    """Notes the first signal instead of answering it; one that is still noted at the end is answered then."""

    def __init__(self) -> None:
        self.pending: signal.Signals | None = None
        self._earlier: dict[signal.Signals, object] = {}

    def __enter__(self) -> "_HeldSignals":
        if threading.current_thread() is threading.main_thread():
            self._earlier = handled()
            if _Noted.number in self._earlier:
                self.pending = _Noted.number
        self._hold()
        return self

    def __exit__(self, *_: object) -> None:
        # In this order no signal is lost in between.
        self._release()
        self.answer()
        self._release()

    def answer(self) -> None:
        """Let the signal that is noted, if there is one, be answered as it would have been."""
        if self.pending is None:
            return
        number, self.pending = self.pending, None
        self._release()
        try:
            signal.raise_signal(number)
        except Exception as error:
            raise RunInterruptedError(f"{number.name}: {error}") from error
        # Whoever answered it wants the run to go on.
        self._hold()

    def _hold(self) -> None:
        for number in self._earlier:
            signal.signal(number, self._note)

    def _release(self) -> None:
        for number, handler in self._earlier.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what getsignal returned

    def _note(self, number: int, _: FrameType | None) -> None:
        if self.pending is None:
            self.pending = signal.Signals(number)
        else:
            self.answer()
