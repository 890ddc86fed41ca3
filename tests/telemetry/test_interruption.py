"""Signals wait for a safe point, are answered by whoever would have answered them, and are never lost."""

import signal
import threading
from contextlib import suppress

import pytest
from tests.lost import interrupted_in_torch

from ablate.telemetry.interruption import (
    RunInterruptedError,
    SafePoints,
    forget_interruption,
    interrupt_by,
    raise_if_interrupted,
    was_interrupted,
)


class Launcher(Exception):  # noqa: N818  # as submitit's, which says that a job is over
    """What a launcher's handler raises."""


@pytest.fixture
def events():
    return []


@pytest.fixture(params=[signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2])
def number(request):
    """A signal whose handler is put back afterwards."""
    earlier = signal.getsignal(request.param)
    yield request.param
    signal.signal(request.param, earlier)


def test_a_signal_waits_for_the_next_safe_point_and_the_state_is_saved_first(number, events):
    signal.signal(number, lambda *_: events.append("answered"))
    with SafePoints(None, None).saving(lambda: events.append("saved")) as reached:
        reached()
        assert events == []
        signal.raise_signal(number)
        events.append("step")
        reached()
        assert events == ["step", "saved", "answered"]
        # Whoever answered it let the run go on; the next one is held back, too.
        signal.raise_signal(number)
        events.append("step")
        reached()
    assert events == ["step", "saved", "answered"] * 2
    signal.raise_signal(number)
    assert events[-1] == "answered"
    assert len(events) == 7


def test_a_signal_after_the_last_safe_point_is_answered_at_the_end(number, events):
    signal.signal(number, lambda *_: events.append("answered"))
    with SafePoints(None, None).saving(lambda: events.append("saved")):
        signal.raise_signal(number)
    assert events == ["saved", "answered"]


def test_a_signal_during_a_step_that_fails_is_not_lost(number, events):
    signal.signal(number, lambda *_: events.append("answered"))

    def failing_step():
        with SafePoints(None, None).saving(lambda: events.append("saved")):
            signal.raise_signal(number)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing_step()
    assert events == ["answered"]


def test_a_second_signal_is_answered_at_once(number, events):
    signal.signal(number, signal.default_int_handler)

    def long_step():
        with SafePoints(None, None).saving(lambda: events.append("saved")):
            signal.raise_signal(number)
            signal.raise_signal(number)
            events.append("went on")

    with pytest.raises(KeyboardInterrupt):
        long_step()
    assert events == []
    assert signal.getsignal(number) is signal.default_int_handler


def test_an_error_of_a_launcher_that_ends_its_job_is_an_interruption(number):
    def end(*_):
        raise Launcher("not queued again")

    signal.signal(number, end)

    def step():
        with SafePoints(None, None).saving(lambda: None) as reached:
            signal.raise_signal(number)
            reached()

    with pytest.raises(RunInterruptedError, match=rf"{number.name}: not queued again"):
        step()
    assert signal.getsignal(number) is end


def test_what_is_ignored_stays_ignored(number, events):
    signal.signal(number, signal.SIG_IGN)
    with SafePoints(None, None).saving(lambda: events.append("saved")) as reached:
        signal.raise_signal(number)
        reached()
    assert events == []


def test_a_thread_leaves_signals_alone(events):
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]

    def work():
        with SafePoints(None, 1).saving(lambda: events.append("saved")) as reached:
            reached()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert events == ["saved"]
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == before


def test_the_state_is_saved_every_so_often(events, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    with SafePoints(None, 3).saving(lambda: events.append("saved")) as reached:
        for step in range(1, 8):
            reached()
            assert len(events) == step // 3
    events.clear()
    with SafePoints(0.5, None).saving(lambda: events.append(now[0])) as reached:
        for seconds in range(0, 100, 7):
            now[0] = seconds
            reached()
    assert events == [35, 70]


@pytest.fixture
def interrupting(number):
    signal.signal(number, interrupt_by)
    forget_interruption()
    yield number
    forget_interruption()


def test_an_interruption_in_the_place_of_which_another_error_came_up_is_not_lost(interrupting):
    with pytest.raises(ValueError, match="could not determine the shape"):
        interrupted_in_torch(interrupting)
    assert was_interrupted()
    with pytest.raises(KeyboardInterrupt):
        raise_if_interrupted()
    forget_interruption()
    raise_if_interrupted()


def test_one_whose_exception_was_lost_is_answered_at_the_first_safe_point(interrupting, events):
    with suppress(KeyboardInterrupt):
        signal.raise_signal(interrupting)

    def steps():
        with SafePoints(None, None).saving(lambda: events.append("saved")) as reached:
            events.append("step")
            reached()
            events.append("went on")

    with pytest.raises(KeyboardInterrupt):
        steps()
    assert events == ["step", "saved"]
