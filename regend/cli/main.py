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
from regend.errors import DaemonNotRunningError, RegendError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

EXIT_ERROR = 2
EXIT_NO_DAEMON = 3
EXIT_INTERRUPTED = 130


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
    except RegendError as error:
        if arguments.json:
            print_json({"error": {"code": error.code, "message": str(error)}})
        else:
            complain(str(error))
        return EXIT_NO_DAEMON if isinstance(error, DaemonNotRunningError) else EXIT_ERROR


if __name__ == "__main__":
    sys.exit(main())
