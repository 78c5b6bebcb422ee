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


def place(text: str) -> str:
    """Return the path or name of a place; an empty one, as an unset shell variable is, must not mean the default."""
    if not text:
        from argparse import ArgumentTypeError

        raise ArgumentTypeError("it is empty; name a file or directory, such as `.`, or leave the option out")
    return text
