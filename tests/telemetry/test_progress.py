"""What a sweep shows: bars and a table in a real pseudo-terminal, plain lines in a file."""

import os
import pty
import re
import select
import subprocess
import sys
import time

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


def in_terminal(**environment) -> str:
    """Run the code in a pseudo-terminal and return all that it wrote there."""
    main, child = pty.openpty()
    variables = {k: v for k, v in os.environ.items() if k != "CI"}
    variables |= {"TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24", **environment}
    process = subprocess.Popen(
        [sys.executable, "-c", CODE], stdout=child, stderr=child, stdin=child, env=variables
    )
    os.close(child)
    parts, deadline = [], time.monotonic() + 60
    while time.monotonic() < deadline:
        if not select.select([main], [], [], 1.0)[0]:
            continue
        try:
            data = os.read(main, 65536)
        except OSError:  # the other end is closed
            break
        if not data:
            break
        parts.append(data)
    os.close(main)
    assert process.wait(timeout=60) == 0
    return b"".join(parts).decode()


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)


def test_a_terminal_shows_the_sweep_the_stage_and_the_table():
    shown = plain(in_terminal())
    assert re.search(r"rank +━+ +0/3 +runs", shown)
    assert re.search(r"train +━*[╸╺]?━* +4/10 +steps", shown)
    assert re.search(r"rank +━*[╸╺]?━* +1/3 +runs +about 1:(30|29) left", shown)
    assert "a table of one" in shown
    assert "one run has ended" in shown
    # The display is gone at the end; what was said stays.
    assert shown.rstrip().endswith("the end")


def test_ci_and_dumb_terminals_see_lines_alone():
    for environment in ({"CI": "true"}, {"TERM": "dumb"}):
        shown = in_terminal(**environment)
        assert shown.split("\r\n")[:2] == ["one run has ended", "the end"]


def test_a_file_has_the_lines_and_nothing_else(tmp_path):
    with (tmp_path / "log").open("wb") as log:
        subprocess.run([sys.executable, "-c", CODE], stdout=log, stderr=log, check=True)
    assert (tmp_path / "log").read_text() == "one run has ended\nthe end\n"
