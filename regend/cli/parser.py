"""The parser of one command: help with examples, and one line with a suggestion for what is wrong."""

from __future__ import annotations

import argparse
import sys

from regend.cli.terminal import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import NoReturn

_UNKNOWN = "unrecognized arguments: "
USAGE_ERROR = 2


class Parser(argparse.ArgumentParser):
    """Parses the words of one command; its examples are read only when help is asked for."""

    def error(self, message: str) -> NoReturn:
        """Print one line and end with status 2."""
        message = message.replace("\\x00", "").replace("\0", "")  # `asking.arguments.parse` puts it before words.
        if message.startswith(_UNKNOWN):
            word = message.removeprefix(_UNKNOWN).split()[0]
            message = f"unknown option {word}" if word.startswith("-") else f"unexpected argument {word!r}"
            message += suggestion(word.partition("=")[0], self._option_string_actions)
        print(f"{self.prog}: {printable(message)}; see `{self.prog} --help`", file=sys.stderr)
        raise SystemExit(USAGE_ERROR)

    def format_help(self) -> str:
        """Return the help, with examples."""
        from regend.cli.examples import EXAMPLES

        text = super().format_help()
        examples = EXAMPLES.get(self.prog.rpartition(" ")[2], ())
        if not examples:
            return text
        return "\n".join([text, "examples:", *(f"  {line}\n      {doc}" for line, doc in examples), ""])


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return words that suggest the most similar of the known names, or nothing."""
    from difflib import get_close_matches

    near = get_close_matches(word, list(known), 1, 0.6)
    return f"; did you mean {near[0]}?" if near else ""
