"""`ablate run`: Hydra's command line with our exit codes and one-line errors."""

import os
import sys

import hydra
import yaml
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from ablate.cli.explain import explain
from ablate.config.errors import ConfigError
from ablate.config.folder import config_folder

_USAGE = (ConfigError, HydraException, OmegaConfBaseException, yaml.YAMLError)
_FULL_ERROR = "HYDRA_FULL_ERROR"


def run(arguments: list[str]) -> int:
    """Run `ablate run ARGUMENTS`.

    Returns:
        0 if all runs are ok, 1 if one failed, 2 for a mistake in usage or configuration.
    """
    given = os.environ.get(_FULL_ERROR)
    # Hydra then lets exceptions through instead of printing them and exiting with 1.
    os.environ[_FULL_ERROR] = "1"
    sys.argv = [sys.argv[0], *arguments]
    main = hydra.main(version_base="1.3", config_path=str(config_folder()), config_name="config")
    try:
        main(_job)()
    except (*_USAGE, ValueError) as error:
        if given == "1" or not _is_usage(error):
            raise
        print(f"ablate run: {explain(error, arguments)}", file=sys.stderr)
        return 2
    except RuntimeError as error:
        if type(error).__name__ != "RunsFailedError":
            raise
        print(f"ablate run: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("ablate run: interrupted; the same command goes on where it stopped", file=sys.stderr)
        return 130
    finally:
        if given is None:
            del os.environ[_FULL_ERROR]
        else:
            os.environ[_FULL_ERROR] = given
    return 0


def complete(arguments: list[str]) -> int:
    """Answer the shell's request for completions of `ablate run ...`."""
    line = os.environ.get("COMP_LINE", "")
    words = line.split(" ", 2)
    if len(words) < 2 or words[1] != "run":
        return 0
    os.environ["COMP_LINE"] = " ".join([words[0], *words[2:]])
    return run(arguments)


def _is_usage(error: Exception) -> bool:
    """Tell a mistake of the user's from a fault of ours: a plain ValueError counts only when Hydra raised it."""
    if isinstance(error, _USAGE):
        return True
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    return frame is not None and frame.tb_frame.f_globals.get("__name__", "").startswith("hydra.")


def _job(composed: DictConfig) -> str:
    """Make one run; what needs torch is imported by then.

    Raises:
        ConfigError: If Hydra was told to run a single job: only a sweep knows seeds and exit codes.
    """
    if HydraConfig.get().mode != RunMode.MULTIRUN:
        raise ConfigError("hydra.mode is RUN; allowed: MULTIRUN. Fix: leave hydra.mode out.")
    from ablate.runner.job import run_job

    return run_job(composed)
