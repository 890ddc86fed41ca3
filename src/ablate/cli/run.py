"""`ablate run`: Hydra's command line with our exit codes and one-line errors."""

import errno
import os
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import hydra
import yaml
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from ablate.cli.arguments import checked_arguments
from ablate.cli.explain import explain
from ablate.config.errors import ConfigError, one_line
from ablate.config.folder import config_folder
from ablate.config.user_files import guard_config_files
from ablate.telemetry.interruption import (
    forget_interruption,
    handled,
    interrupt_by,
    was_interrupted,
)

# A MemoryError that arrives here is of the data, before any run has begun.
_USAGE = (ConfigError, HydraException, OmegaConfBaseException, yaml.YAMLError, MemoryError)
# Where Hydra reads the command line and the configuration: whatever is raised there is a usage error.
_READING = (
    "hydra._internal.callbacks",
    "hydra._internal.config_loader_impl",
    "hydra._internal.config_repository",
    "hydra._internal.defaults_list",
    "hydra.core.override_parser",
    "hydra.core.plugins",
    "logging.config",
    "omegaconf",
)
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
_FULL_ERROR = "HYDRA_FULL_ERROR"


def run(arguments: list[str]) -> int:
    """Run `ablate run ARGUMENTS`.

    Returns:
        0 if all runs are ok, 1 if one failed, 2 for an error in usage or configuration.
    """
    with _exceptions_let_through() as wants_traceback, _terminated_like_interrupted():
        try:
            _check_folders()
            sys.argv = [sys.argv[0], *checked_arguments(arguments)]
            guard_config_files()
            main = hydra.main(
                version_base="1.3", config_path=str(config_folder()), config_name="config"
            )
            main(_job)()
        except KeyboardInterrupt:
            return _interrupted()
        except SystemExit as error:
            # Hydra prints what is wrong and leaves with 1, which means here that a run failed.
            return 2 if error.code else 0
        except Exception as error:
            if was_interrupted():
                return _interrupted()
            if type(error).__name__ == "RunsFailedError":
                _print_error(str(error))
                return 1
            if wants_traceback or not _is_usage(error):
                raise
            _print_error(explain(error, arguments))
            return 2
    return 0


def complete(arguments: list[str]) -> int:
    """Answer the shell's request for completions of `ablate run ...`."""
    line = os.environ.get("COMP_LINE", "")
    words = line.split(" ", 2)
    if len(words) < 2 or words[1] != "run":
        return 0
    os.environ["COMP_LINE"] = " ".join([words[0], *words[2:]])
    return run(arguments)


@contextmanager
def _exceptions_let_through() -> Iterator[bool]:
    """Keep Hydra from printing exceptions and exiting with 1; yield whether the user wants tracebacks."""
    given = os.environ.get(_FULL_ERROR)
    os.environ[_FULL_ERROR] = "1"
    try:
        yield given == "1"
    finally:
        if given is None:
            del os.environ[_FULL_ERROR]
        else:
            os.environ[_FULL_ERROR] = given


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """Treat SIGTERM, and what Slurm's `--signal` sends, as Ctrl-C: the run leaves its row, the next call resumes.

    What is ignored stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    forget_interruption()
    earlier = {number: signal.signal(number, interrupt_by) for number in handled()}
    try:
        yield
    finally:
        forget_interruption()
        for number, handler in earlier.items():
            signal.signal(number, handler)


def _interrupted() -> int:
    _print_error("interrupted; run the same command again to resume")
    return 130


def _print_error(text: str) -> None:
    print(f"ablate run: {one_line(text)}", file=sys.stderr)


def _check_folders() -> None:
    """Refuse to start where there is no working folder, or none for temporary files, as on a full disk."""
    try:
        Path.cwd()
    except OSError as error:
        raise ConfigError(
            "The working folder no longer exists. Fix: cd to one that does."
        ) from error
    try:
        tempfile.gettempdir()
    except OSError as error:
        raise ConfigError(
            f"{error.strerror}. Fix: free some space, or set TMPDIR to a folder."
        ) from error


def _is_usage(error: Exception) -> bool:
    """Distinguish a user error from a fault of ablate."""
    if isinstance(error, _USAGE) or (isinstance(error, OSError) and error.errno in _NO_SPACE):
        return True
    modules = [
        str(frame.f_globals.get("__name__", ""))
        for frame, _ in traceback.walk_tb(error.__traceback__)
    ]
    return modules[-1].startswith("hydra.") or any(name.startswith(_READING) for name in modules)


def _job(composed: DictConfig) -> str:
    """Make one run; what needs torch is imported by then."""
    from ablate.runner.job import run_job

    return run_job(composed)
