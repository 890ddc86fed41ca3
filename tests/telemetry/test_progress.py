"""What a sweep shows: bars and a table in a real pseudo-terminal, plain lines in a file."""

import re
import subprocess
import sys

from tests.telemetry.terminal import in_terminal, plain

CODE = """
from rich.text import Text
from ablate.telemetry.progress import say, stage_bar, sweep_display
import time
with sweep_display("rank", 3) as display:
    with stage_bar("train", 10, "step") as advance:
        advance(4)
        time.sleep(0.3)
    say("one run has ended")
    if display is not None:
        display.advance(90.0)
        display.show(Text("a table of one"))
        time.sleep(0.3)
print("the end")
"""
COMMAND = [sys.executable, "-c", CODE]


def test_a_terminal_shows_the_sweep_the_stage_and_the_table():
    shown = plain(in_terminal(COMMAND))
    assert re.search(r"rank +━+ +0/3 +runs", shown)
    assert re.search(r"train +━*[╸╺]?━* +4/10 +steps", shown)
    assert re.search(r"rank +━*[╸╺]?━* +1/3 +runs +about 1:(30|29) left", shown)
    assert "a table of one" in shown
    assert "one run has ended" in shown
    # The display is gone at the end; what was said stays.
    assert shown.rstrip().endswith("the end")


def test_ci_and_dumb_terminals_see_lines_alone():
    for environment in ({"CI": "true"}, {"TERM": "dumb"}):
        shown = in_terminal(COMMAND, **environment)
        assert shown.split("\r\n")[:2] == ["one run has ended", "the end"]


def test_a_file_has_the_lines_and_nothing_else(tmp_path):
    with (tmp_path / "log").open("wb") as log:
        subprocess.run(COMMAND, stdout=log, stderr=log, check=True)
    assert (tmp_path / "log").read_text() == "one run has ended\nthe end\n"
