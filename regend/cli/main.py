"""`regenctl`: parse, call the daemon, print. It starts with the standard library and msgpack only.

Exit codes, as grep has them: 0 found or done, 1 nothing found, 2 an error, 3 no daemon, 130 interrupted.
"""

from __future__ import annotations

from regend.interpreter import settle

if __name__ == "__main__":
    settle()

import gc
import os
import sys
from importlib import import_module

from regend.cli.arguments import parse
from regend.cli.terminal import choose_colour, complain, print_json
from regend.errors import DaemonNotRunningError, RegendError, RpcError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

EXIT_ERROR = 2
EXIT_NO_DAEMON = 3
EXIT_INTERRUPTED = 130
_OF_ANOTHER_VERSION = frozenset(("invalid_params", "method_not_found"))
"""Codes of errors that an upgrade may cause while the earlier daemon still runs."""


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    if sys.stdout is None or sys.stderr is None:  # The parent process closed them.
        sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115, PTH123 - open until we end.
        sys.stderr = sys.stderr or sys.stdout
    # File names and snippets may hold bytes that are not text; they must not end the program.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        arguments = parse(sys.argv[1:] if argv is None else argv)
        choose_colour(arguments.color)
        code = run(arguments)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        _discard_output()  # The reader, such as `head`, has enough; with `pipefail`, that must be no error.
        return 0
    except OSError as error:  # Such as a full disk.
        _discard_output()
        print(
            f"regenctl: The answer could not be written: {error.strerror}; check where the output goes.",
            file=sys.stderr,
        )
        return EXIT_ERROR
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def _discard_output() -> None:
    """Discard unwritten output: Python would fail again when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def run(arguments: argparse.Namespace) -> int:
    """Run the command's function, `run_NAME(arguments)` of its module, and return its exit code."""
    try:
        module = import_module(f"regend.cli.{arguments.command.module}")
        if not gc.isenabled():
            gc.freeze()
            gc.enable()
        code: int = getattr(module, f"run_{arguments.command.name}")(arguments)
        return code
    except KeyError as error:
        if not (note := _version_note(arguments)):
            raise
        return _fail(arguments, RpcError(f"The daemon's answer has no {error}. {note}", code="protocol_error"))
    except RegendError as error:
        return _fail(arguments, error)


def _fail(arguments: argparse.Namespace, error: RegendError) -> int:
    """Print an error, and return the exit code for it."""
    message = str(error)
    if error.code in _OF_ANOTHER_VERSION and (note := _version_note(arguments)):
        message += f" {note}"
    if arguments.json:
        print_json({"error": {"code": error.code, "message": message}})
    else:
        complain(message)
    return EXIT_NO_DAEMON if isinstance(error, DaemonNotRunningError) else EXIT_ERROR


def _version_note(arguments: argparse.Namespace) -> str:
    """Say that the daemon has another version than `regenctl`, as after an upgrade; empty if it has the same."""
    from regend import __version__
    from regend.cli.call import client

    try:
        with client(arguments) as daemon:
            version = daemon.server["version"]
    except (RegendError, KeyError):
        return ""
    if version == __version__:
        return ""
    return f"The daemon has version {version}, regenctl {__version__}; `regenctl restart` starts the installed one."


if __name__ == "__main__":
    sys.exit(main())
