"""`regenctl pipe`: answer commands that come on standard input, without a start of the program for each.

A line is a JSON object: `words`, which would stand behind `regenctl`; `directory`, in which the command runs; and
`input`, its standard input. Each is answered by one line, in their order: what the command prints with `--json`. A
search costs 1.2 ms of CPU here, and 42 ms as a program of its own (200 and 20 searches, Python 3.11).
"""

from __future__ import annotations

import io
import json
import os
import sys

from regend.cli.arguments import parse
from regend.cli.asking.here import working_directory
from regend.cli.call import absolute
from regend.errors import RegendError
from regend.paths import from_root

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

COMMANDS = ("search", "symbols", "related", "outline", "status", "list", "why", "flush", "sync")
_PATHS = ("REGEND_CONFIG", "REGEND_STATE_DIR", "REGEND_SOCKET")


def run_pipe(arguments: argparse.Namespace) -> int:
    """Answer until standard input ends."""
    own_input, own_output, own_errors = sys.stdin, sys.stdout, sys.stderr
    own_input.reconfigure(encoding="utf-8", errors="surrogateescape")  # type: ignore[union-attr]
    here = working_directory() or "/"
    before = ["--socket", absolute(arguments.socket)] if arguments.socket else []
    for name in _PATHS:  # They count from here, wherever a command runs.
        if value := os.environ.get(name):
            os.environ[name] = from_root(value)
    for line in own_input:
        try:
            answer = _answer(line, before, here)
        except RegendError as error:
            answer = json.dumps({"error": {"code": error.code, "message": str(error)}})
        finally:
            sys.stdin, sys.stdout, sys.stderr = own_input, own_output, own_errors
        own_output.write(answer.rstrip("\n") + "\n")
        own_output.flush()
    return 0


def _answer(line: str, before: list[str], here: str) -> str:
    from regend.cli.main import run

    words, directory, given = _parts(line, here)
    try:
        os.chdir(directory)
    except OSError as error:
        raise RegendError(f"The directory {directory} cannot be entered: {error.strerror}.") from error
    sys.stdin = io.TextIOWrapper(io.BytesIO(given.encode(errors="surrogateescape")))
    sys.stdout, sys.stderr = io.StringIO(), io.StringIO()
    try:
        arguments = parse([*before, "--json", *words])
        if getattr(arguments, "watch", False):
            raise RegendError("`status --watch` goes on without end, and a line has one answer; ask for `status`.")
        run(arguments)
    except SystemExit:  # The words are no command line; argparse has said why.
        raise RegendError(sys.stderr.getvalue().strip() or sys.stdout.getvalue()) from None
    return sys.stdout.getvalue()


def _parts(line: str, here: str) -> tuple[list[str], str, str]:
    """Return words, directory and input of a line.

    Raises:
        RegendError: the line is no such object, or its command has no answer in JSON.
    """
    try:
        asked = json.loads(line)
        words, directory, given = asked["words"], asked.get("directory", here), asked.get("input", "")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RegendError(
            'A line is a JSON object such as {"words": ["search", "retry"], "directory": DIR}.'
        ) from error
    if not isinstance(words, list) or not all(isinstance(word, str) for word in (*words, directory, given)):
        raise RegendError("`words` is a list of strings, and `directory` and `input` are strings.")
    try:
        "".join((*words, directory, given)).encode(errors="surrogateescape")
    except UnicodeEncodeError as error:
        raise RegendError("A string holds half of a surrogate pair, which is no text.") from error
    if any("\0" in word for word in (*words, directory)):
        raise RegendError("A word or directory holds a NUL, which no command line has.")
    if not words or words[0] not in COMMANDS:
        raise RegendError(f"The first word is a command: {', '.join(COMMANDS)}.")
    return words, directory, given
