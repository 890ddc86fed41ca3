"""The `ablate` command: it picks a subcommand and imports nothing heavy before it must."""

import logging
import os
import sys

from ablate import __version__
from ablate.cli.streams import steady_streams

HELP = """\
ablate - config-driven ablations of vision-language models

usage: ablate COMMAND [ARGUMENTS]

  run     run an ablation, or a single configuration     ablate run +ablation=rank
  plan    what would run, and what it would cost         ablate plan +ablation=rank
  report  verdicts, tables, pictures and a page          ablate report outputs/rank
  list    list the available choices                     ablate list methods
  data    say what of a data set fits and what does not  ablate data check gtsrb
  import  turn a written plan into ablation files        ablate import plan.md

  ablate run --help     groups, keys and their values
  ablate --version      print the version

exit codes: 0 all runs ok, 1 a run failed, 2 an error in usage or configuration
"""


def main() -> None:
    """Run the command line; the process ends with the documented exit codes.

    OpenMP threads that wait sleep instead of spinning. A training step of the tiny model, 2 threads on 2
    cores, took 5.5 s spinning and 0.34 s sleeping where two other processes held one of the cores, 0.5 s
    and 0.3 to 0.4 s where one did, 0.25 s and 0.21 s on idle cores. The numbers are the same, bit for bit.
    OpenMP reads it when torch is imported.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    # Without a network the hub is asked six times for every file, and says so each time; its error says why it failed.
    os.environ.setdefault("HF_HUB_VERBOSITY", "error")
    # Where it is installed, peft imports it, and on a CPU it regrets each time that it has no kernels from the hub.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    steady_streams()
    sys.exit(dispatch(sys.argv[1:]))


def dispatch(arguments: list[str]) -> int:
    """Hand over to a subcommand and return its exit code."""
    command, rest = (arguments[0], arguments[1:]) if arguments else ("--help", [])
    if command in ("-h", "--help", "help"):
        print(HELP, end="")
        return 0
    if command == "--version":
        print(f"ablate {__version__}")
        return 0
    if command == "run":
        from ablate.cli.run import run

        return run(rest)
    if command == "list":
        from ablate.cli.list import list_choices

        return list_choices(rest)
    if command == "data":
        from ablate.cli.data import data

        return data(rest)
    if command == "plan":
        from ablate.cli.plan import plan

        return plan(rest)
    if command == "report":
        from ablate.cli.report import report

        return report(rest)
    if command == "import":
        from ablate.cli.import_plan import import_plan

        return import_plan(rest)
    if command in ("-sc", "--shell-completion"):
        from ablate.cli.run import complete

        return complete(arguments)
    from ablate.config.errors import one_line, unknown

    error = unknown(
        "command",
        command,
        ["run", "plan", "report", "list", "data", "import", "--help", "--version"],
    )
    print(f"ablate: {one_line(str(error))}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    main()
