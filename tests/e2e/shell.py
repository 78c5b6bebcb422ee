"""A user's shell: commands of regend in a pseudo-terminal or in a pipe, with a home directory of its own."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from regend.errors import RegendError
from regend.rpc.client import Client
from tests.e2e.rig import wait_for
from tests.rpc.scripted import short_directory

REPOSITORY = Path(__file__).parents[2]
LIMIT_S = 60.0
_CONTROL = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|[=>]|\][^\a]*\a)")


@dataclass
class Done:
    """A command that has ended.

    Attributes:
        shown: what a person reads in the end: without control sequences, and without lines that were overwritten.
        raw: everything that came, as it came.
        errors: standard error, where it is not the terminal, too.
    """

    code: int
    shown: str
    raw: str
    errors: str = ""


@dataclass
class Shell:
    """One user's shell. Commands that begin with `regenctl` run the installed program.

    Attributes:
        here: the working directory.
    """

    home: Path
    here: Path
    environ: dict[str, str] = field(default_factory=dict)
    columns: int = 100

    def __post_init__(self) -> None:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.environ = {"PATH": path, "HOME": str(self.home), "LANG": "C.UTF-8", "TERM": "xterm-256color",
                        "GIT_CONFIG_NOSYSTEM": "1", **self.environ}  # fmt: skip

    def pipe(self, *command: str, text: str = "", **environ: str) -> Done:
        """Run a command whose output goes to another program."""
        done = subprocess.run(
            command, cwd=self.here, env=self.environ | environ, input=text, capture_output=True, text=True,
            timeout=LIMIT_S,
        )  # fmt: skip
        return Done(done.returncode, done.stdout, done.stdout, done.stderr)

    def type(self, *command: str, until: str = "", **environ: str) -> Done:
        """Run a command in a terminal. Ctrl-C is pressed once it shows the text `until`, if one is given."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, self.columns, 0, 0))
        process = subprocess.Popen(
            command, cwd=self.here, env=self.environ | environ, stdin=theirs, stdout=theirs, stderr=theirs,
            start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        raw, deadline = "", time.monotonic() + LIMIT_S
        try:
            while True:
                assert time.monotonic() < deadline, f"{command} does not end; it shows {raw!r}"
                if select.select([ours], [], [], 0.1)[0]:
                    try:
                        data = os.read(ours, 65_536)
                    except OSError:  # The last program has closed the terminal.
                        break
                    if not data:
                        break
                    raw += data.decode("utf-8", "replace")
                elif process.poll() is not None:
                    break
                if until and until in shown(raw):
                    process.send_signal(signal.SIGINT)
                    until = ""
            code = process.wait(LIMIT_S)
        finally:
            os.close(ours)
            if process.poll() is None:
                process.kill()
                process.wait(10)
        return Done(code, shown(raw), raw)


def shown(raw: str) -> str:
    """Return what stays on the screen of lines that are drawn over one another."""
    lines = _CONTROL.sub("", re.sub(r"\r\x1b\[K", "\v", raw.replace("\r\n", "\n"))).split("\n")
    return "\n".join(re.split(r"[\v\r]", line)[-1] for line in lines)


def stop_daemon(home: Path) -> None:
    """End the daemon of this home by its process id, if one runs."""
    try:
        with Client(home / ".local/state/regend/run/regend.sock", timeout_s=5) as client:
            pid = int(client.server["pid"])
    except RegendError:
        return
    os.kill(pid, signal.SIGTERM)
    lock = home / ".local/state/regend/lock"
    wait_for(lambda: not lock.read_text().strip(), f"the daemon {pid} ends")


@contextmanager
def shell() -> Iterator[Shell]:
    """Open a shell in an empty home directory; at the end, no daemon of it is left."""
    with short_directory() as home:
        try:
            yield Shell(home.resolve(), home.resolve())
        finally:
            stop_daemon(home)
