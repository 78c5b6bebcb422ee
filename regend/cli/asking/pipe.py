"""`regenctl pipe`: answer commands that come on standard input, without a start of the program for each.

A line is a JSON object: `words`, which would stand behind `regenctl`; `directory`, in which the command runs; and
`input`, its standard input. Each is answered by one line, in their order: what the command prints with `--json`.
"""

from __future__ import annotations

import io
import json
import os
import sys

from regend.cli.arguments import parse
from regend.errors import RegendError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

COMMANDS = ("search", "symbols", "related", "outline", "status", "list", "why", "flush", "sync")


def run_pipe(arguments: argparse.Namespace) -> int:
    """Answer until standard input ends."""
    own_input, own_output, own_errors = sys.stdin, sys.stdout, sys.stderr
    before = ["--socket", arguments.socket] if arguments.socket else []
    for line in own_input:
        try:
            answer = _answer(line, before)
        except RegendError as error:
            answer = _refusal(error.code, str(error))
        finally:
            sys.stdin, sys.stdout, sys.stderr = own_input, own_output, own_errors
        own_output.write(answer.rstrip("\n") + "\n")
        own_output.flush()
    return 0


def _answer(line: str, before: list[str]) -> str:
    from regend.cli.main import run

    words, directory, given = _parts(line)
    try:
        os.chdir(directory)
    except OSError as error:
        raise RegendError(f"The directory {directory} cannot be entered: {error.strerror}.") from error
    sys.stdin = io.TextIOWrapper(io.BytesIO(given.encode()), "utf-8")
    sys.stdout, sys.stderr = io.StringIO(), io.StringIO()
    try:
        run(parse([*before, "--json", *words]))
    except SystemExit:  # The words are no command line; argparse has said why.
        raise RegendError(sys.stderr.getvalue().strip() or sys.stdout.getvalue()) from None
    return sys.stdout.getvalue()


def _parts(line: str) -> tuple[list[str], str, str]:
    """Return words, directory and input of a line.

    Raises:
        RegendError: the line is no such object, or its command has no answer in JSON.
    """
    try:
        asked = json.loads(line)
        words, directory, given = asked["words"], asked.get("directory", "/"), asked.get("input", "")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RegendError(
            'A line is a JSON object such as {"words": ["search", "retry"], "directory": DIR}.'
        ) from error
    if not isinstance(words, list) or not all(isinstance(word, str) for word in (*words, directory, given)):
        raise RegendError("`words` is a list of strings, and `directory` and `input` are strings.")
    if not words or words[0] not in COMMANDS:
        raise RegendError(f"The first word is a command: {', '.join(COMMANDS)}.")
    return words, directory, given


def _refusal(code: str, message: str) -> str:
    return json.dumps({"error": {"code": code, "message": message}})
