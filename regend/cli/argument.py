"""How a command's argument is declared: one value for the parser, the help and the completions."""

from __future__ import annotations

from collections import namedtuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NamedTuple

    class Argument(NamedTuple):
        names: tuple[str, ...]
        options: dict[str, Any]
        complete: str
else:
    Argument = namedtuple("Argument", "names options complete")


def arg(*names: str, complete: str = "", **options: Any) -> Argument:
    """Declare an argument; `complete` says what a shell offers for it: ``file``, ``directory``, words, or nothing."""
    return Argument(names, options, complete)


def number(kind: type, what: str, low: int, high: float) -> Callable[[str], Any]:
    """Return a parser of numbers; argparse quotes its name when a number is wrong."""

    def parse_number(text: str) -> Any:
        value = kind(text)
        if not low <= value <= high:
            raise ValueError
        return value

    parse_number.__name__ = f"number of {what} ({low} to {high:.0f})"
    return parse_number


def stated(what: str) -> Callable[[str], str]:
    """Return a parser of texts; an empty one, as an unset shell variable is, must not mean the default.

    Args:
        what: the remedy for an empty text, such as "name a file".
    """

    def parse_text(text: str) -> str:
        if not text:
            from argparse import ArgumentTypeError

            raise ArgumentTypeError(f"it is empty; {what}, or leave the option out")
        return text

    return parse_text


place = stated("name a file or directory, such as `.`")
