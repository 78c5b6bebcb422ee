"""A pager for what is longer than the screen, as git has it: $REGEND_PAGER, else $PAGER, else less."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NONE = ("", "cat")
LESS = "FRX"
"""Value of $LESS unless it is set: leave at once what fits on the screen, pass colours on, keep the text on leaving."""


def pager_of(environ: Mapping[str, str]) -> str:
    """Return the command of the pager; empty for none."""
    for name in ("REGEND_PAGER", "PAGER"):
        if name in environ:
            return "" if environ[name].strip() in _NONE else environ[name]
    return "less"


def page(lines: Sequence[str], command: str) -> bool:
    """Show lines in a pager and wait for its end.

    Returns:
        False where it cannot be started, so that nothing was shown.
    """
    import signal
    import subprocess

    environ = {"LESS": LESS, "LV": "-c", **os.environ}
    before = signal.getsignal(signal.SIGINT)
    try:
        with subprocess.Popen(["/bin/sh", "-c", command], stdin=subprocess.PIPE, env=environ) as pager:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C belongs to the pager while that runs.
            assert pager.stdin is not None
            try:
                for line in lines:
                    pager.stdin.write(f"{line}\n".encode(sys.stdout.encoding or "utf-8", "replace"))
                pager.stdin.close()
            except BrokenPipeError:
                pass  # The reader has seen enough.
        return pager.returncode not in (126, 127)
    finally:
        signal.signal(signal.SIGINT, before)
