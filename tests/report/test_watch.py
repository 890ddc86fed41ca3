"""The table of a sweep that runs elsewhere grows as runs end."""

import time

import pytest
from tests.report.sweeps import finished, right, task

from ablate.report.watch import watch


def test_runs_that_are_asked_for_are_waited_for(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")

    def end(seed, method):
        finished(tmp_path, 8, seed, [task("t", "target", right(0.5, seed))], method=method)

    def stop():
        raise KeyboardInterrupt

    later = iter([lambda: end(1, "lora"), stop])
    monkeypatch.setattr(time, "sleep", lambda _seconds: next(later)())
    end(0, "lorsu")
    with pytest.raises(KeyboardInterrupt):
        watch([tmp_path], {"method": "lora"}, {})
    shown = capsys.readouterr().out
    waiting, _, grown = shown.partition("1 runs at")
    assert "0 runs at" in waiting
    assert "method=lora, which no run has" in waiting
    assert "accuracy" in grown
