"""Calls of `ablate` in processes of their own that need not import torch again: they are forked from one that has."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

# What is forked finds this module by the path of the process that asks for it.
sys.path.append(str(Path(__file__).parents[1]))
_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["ablate.cli.run", "ablate.runner.run"])


class Call:
    """A running `ablate`.

    Attributes:
        returncode: Its exit code once `wait` has returned, or minus the signal that ended it.
    """

    def __init__(self, words: Sequence[str], log: Path) -> None:
        """Start it; what it prints, and its errors, are written to `log`."""
        self.returncode: int | None = None
        self._log = log
        self._process = _SERVER.Process(target=_main, args=(list(words), log, Path.cwd()))
        self._process.start()

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return self._process.is_alive()

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process.pid is not None
        os.kill(self._process.pid, number)

    def wait(self, timeout_seconds: float = 300) -> str:
        """Wait for its end and return what it has printed."""
        self._process.join(timeout_seconds)
        self.returncode = self._process.exitcode
        assert self.returncode is not None, "it did not end in time"
        self._process.close()
        return self._log.read_text(encoding="utf-8")


def _main(words: list[str], log: Path, folder: Path) -> None:
    from ablate.cli.main import main

    os.chdir(folder)
    with log.open("w", encoding="utf-8") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.argv = ["ablate", *words]
    main()
