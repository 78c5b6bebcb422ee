"""Output of commands: JSON, or text with columns, sizes and durations, and colours if the terminal shows them.

Hand-written ANSI, because rich costs more to import than `regenctl` may take to start.
"""

from __future__ import annotations

import os
import re
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any, TextIO

_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "magenta": "35", "cyan": "36"}


_chosen: dict[str, str] = {}
"""The value of `--color`, which `choose_colour` sets."""


def choose_colour(when: str | None) -> None:
    """Colour what this process prints ``always``, ``never``, or (``auto``) as `wants_colour` says."""
    _chosen["when"] = when or "auto"


def wants_colour(stream: TextIO, environ: Mapping[str, str] = os.environ) -> bool:
    """Say whether to colour: as `--color` says, else the environment, else on a terminal that is not dumb.

    `NO_COLOR` (https://no-color.org) goes before `FORCE_COLOR` (https://force-color.org) and `CLICOLOR_FORCE`, as in
    Python itself; `CLICOLOR=0` (https://bixense.com/clicolors) switches off what a terminal would get.
    """
    when = _chosen.get("when", "auto")
    if when != "auto" or environ.get("NO_COLOR"):
        return when == "always"
    if environ.get("FORCE_COLOR") or environ.get("CLICOLOR_FORCE", "0") not in ("", "0"):
        return True
    return environ.get("CLICOLOR") != "0" and environ.get("TERM") != "dumb" and stream.isatty()


def is_read_by_people(stream: TextIO, environ: Mapping[str, str] = os.environ) -> bool:
    """Say whether a person reads the stream: a terminal, but for that on which Emacs runs a command to read it."""
    in_emacs = environ.get("TERM") == "emacs-grep" or environ.get("INSIDE_EMACS", "").endswith(",compile")
    return stream.isatty() and not in_emacs


class Style:
    """Colours text, or returns it unchanged."""

    def __init__(self, on: bool) -> None:
        self.on = on

    @classmethod
    def of(cls, stream: TextIO) -> Style:
        return cls(wants_colour(stream))

    def __call__(self, text: str, *names: str) -> str:
        """Return the text in the named colours."""
        if not self.on or not text:
            return text
        return f"\x1b[{';'.join(_CODES[name] for name in names)}m{text}\x1b[0m"


_CONTROLS = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f"  # C0 and C1, escape sequences among them; tabs become spaces.
    "\u2028\u2029"  # Line and paragraph separators.
    "\u202a-\u202e\u2066-\u206f"  # Signs that make the rest of a line run the other way.
    "\ud800-\udfff]"  # Bytes that are not UTF-8.
)


def printable(text: str) -> str:
    """Return one line that cannot control the terminal; spaces of any width, joiners, accents and emoji stay."""
    return _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", text.replace("\t", "    "))


def complain(message: str) -> None:
    """Print an error to standard error. It may name a file or a word, and these could control the terminal."""
    said = "\n".join(map(printable, message.split("\n")))
    print(f"{Style.of(sys.stderr)('regenctl:', 'red', 'bold')} {said}", file=sys.stderr)


def columns(rows: Sequence[Sequence[str]], right: frozenset[int] = frozenset()) -> list[str]:
    """Return lines with aligned cells; the columns in `right` are aligned to the right.

    Cells are plain text: colour would be counted as width.
    """
    if not rows:
        return []
    widths = [max(width_of(row[i]) for row in rows) for i in range(len(rows[0]))]

    def padded(i: int, cell: str) -> str:
        spaces = " " * (widths[i] - width_of(cell))
        return spaces + cell if i in right else cell + spaces

    return ["  ".join(padded(i, cell) for i, cell in enumerate(row)).rstrip() for row in rows]


def width_of(text: str) -> int:
    """Return how many columns of a terminal a text takes: East Asian letters take two, accents and joiners none."""
    if text.isascii():
        return len(text)
    from unicodedata import category, east_asian_width

    # Vowels and final consonants of Hangul in parts (U+1160 to U+11FF) are drawn into the letter before them.
    joined = (
        letter for letter in text if category(letter) not in ("Mn", "Me", "Cf") and not "\u1160" <= letter < "\u1200"
    )
    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in joined)


def terminal_width() -> int:
    """Return the columns of the terminal that standard output is, or 0."""
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns
    except (OSError, ValueError):
        return 0


def bytes_text(count: float) -> str:
    """Return a size such as ``52.4 MB``."""
    for unit in ("B", "kB", "MB"):
        if abs(count) < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def duration_text(seconds: float) -> str:
    """Return a duration such as ``1 h 2 min``, in its two largest units."""
    left = int(seconds)
    parts: list[str] = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        amount, left = divmod(left, size)
        if amount or (unit == "s" and not parts):
            parts.append(f"{amount} {unit}")
    return " ".join(parts[:2])


def show(
    arguments: argparse.Namespace, answer: dict[str, Any], page: Callable[[dict[str, Any], Style], Iterable[str]]
) -> int:
    """Print the daemon's answer, as JSON or as the lines of its page; return the exit code."""
    if arguments.json:
        print_json(answer)
    else:
        for line in page(answer, Style.of(sys.stdout)):
            print(line)
    return 0


def say(arguments: argparse.Namespace, answer: dict[str, Any], sentence: str) -> int:
    """Print the daemon's answer, as JSON or as one sentence; return the exit code."""
    return show(arguments, answer, lambda _, style: [printable(sentence)])


def print_json(value: Any) -> None:
    """Print a value as it is on the wire. Bytes that are not UTF-8 stay escaped surrogates."""
    import json

    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        text = json.dumps(value)
    sys.stdout.write(text + "\n")
