"""argparse for commands of few flags: a mistake is one line, as everywhere, and the caller's to print."""

import argparse
from collections.abc import Sequence
from typing import NoReturn

from ablate.config.errors import ConfigError, unknown


class Parser(argparse.ArgumentParser):
    """A command's words and flags, in any order; a flag is spelled out."""

    def __init__(self, command: str) -> None:
        """Begin without arguments.

        Args:
            command: As it is typed, `ablate report`; `--help` is the command's own to answer.
        """
        super().__init__(prog=command, add_help=False, allow_abbrev=False)

    def read(self, arguments: Sequence[str]) -> argparse.Namespace:
        """Read the arguments.

        Raises:
            ConfigError: If a flag does not exist, lacks its value or has one too many.
        """
        given, rest = self.parse_known_intermixed_args(arguments)
        flags = [word for word in rest if word.startswith("-")]
        if flags:
            raise unknown("flag", flags[0].partition("=")[0], [*self.flags(), "--help"])
        return given

    def flags(self) -> list[str]:
        """Return the flags that were added, as they are typed."""
        return list(self._option_string_actions)

    def error(self, message: str) -> NoReturn:
        """Refuse what argparse would print eight lines of usage for, and leave."""
        refuse(message, self.prog)


def refuse(message: str, command: str) -> NoReturn:
    """Say what argparse found wrong with a command's words.

    Raises:
        ConfigError: Always.
    """
    raise ConfigError(
        f"{message[:1].upper()}{message[1:]}. Fix: `{command} --help` lists what there is."
    )
