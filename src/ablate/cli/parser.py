"""argparse for commands of few flags: a mistake is one line, as everywhere, and the caller's to print."""

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from ablate.config.errors import ConfigError, unknown


class Parser(argparse.ArgumentParser):
    """A command's words and flags, in any order; a flag is spelled out."""

    def __init__(self, command: str) -> None:
        """Begin without arguments.

        Args:
            command: As it is typed, `ablate report`; `--help` is the command's own to answer.
        """
        super().__init__(prog=command, add_help=False, allow_abbrev=False)
        self.register("action", None, _Once)

    def split(self, arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
        """Take the flags out of the words of `ablate run`.

        Returns:
            The flags, and all other words in their order.

        Raises:
            ConfigError: If a flag lacks its value or has one too many.
        """
        return self.parse_known_args(arguments)

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


class _Once(argparse._StoreAction):
    """Stores a value, and refuses another one for the same flag, of which argparse would take the last."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,  # noqa: ANN401  # as argparse has it
        option_string: str | None = None,
    ) -> None:
        before = getattr(namespace, self.dest, self.default)
        if option_string is not None and before not in (self.default, values):
            raise ConfigError(f"{option_string} is given twice. Fix: give it once.")
        super().__call__(parser, namespace, values, option_string)


def refuse(message: str, command: str) -> NoReturn:
    """Say what argparse found wrong with a command's words.

    Raises:
        ConfigError: Always.
    """
    raise ConfigError(
        f"{message[:1].upper()}{message[1:]}. Fix: `{command} --help` lists what there is."
    )
