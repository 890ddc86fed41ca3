"""`ablate run` in a process of its own, and what its runs say of the processes that make them."""

import re
import subprocess
import sys
import time

from tests.conftest import instead


def start(arguments, *words):
    """Begin a call; each word takes the place of another for the same key."""
    command = [sys.executable, "-m", "ablate.cli.main", "run"]
    return subprocess.Popen(
        [*command, *instead(arguments, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for(look, process, seconds=300):
    """Look again and again while a call goes on; return what is found."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.05)
    return found


def process_of(folder):
    """Return the process that makes a run or made it last, as its log says; None before it has begun."""
    log = folder.log_path
    found = re.findall(r"made on \S+ by process (\d+)", log.read_text()) if log.exists() else []
    return int(found[-1]) if found else None
