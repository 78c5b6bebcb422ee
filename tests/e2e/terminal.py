"""`regenctl` as a shell runs it: in a directory, through pipes, or on a terminal of a given size."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e.rig import REPOSITORY, Daemon, daemon
from tests.search.conftest import QUEUE, README, RETRY, TEST_QUEUE

LIMIT_S = 20.0
GIT = ("git", "-c", "user.name=x", "-c", "user.email=x@example.org")


@dataclass(frozen=True)
class Place:
    """Directories beside a daemon that knows some of them.

    ::

        app              a repository, and a root
        app/lib          a repository of its own inside of it
        app/trees/kept   a worktree of app that is no root
        tree             a worktree of app, and a root; on another branch
        other            a plain folder, and a root
        parts            a repository of which only parts/one is a root
        stranger         a repository that is no root
    """

    base: Path
    served: Daemon
    environ: dict[str, str] = field(default_factory=dict)

    def run(
        self, cwd: str, *arguments: str, text: str | None = None, **environ: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command, whose name `regenctl` is the program under test, in a directory below `base`."""
        return subprocess.run(
            arguments, cwd=self.base / cwd, env=self.environ | environ, capture_output=True, text=True,
            timeout=LIMIT_S, input=text, errors="surrogateescape",
        )  # fmt: skip

    def on_terminal(
        self,
        cwd: str,
        *arguments: str,
        rows: int = 40,
        columns: int = 100,
        keys: bytes = b"",
        until: str = "",
        **environ: str,
    ) -> tuple[str, int]:
        """Run a command on a pseudo-terminal, and type `keys` once it shows `until`.

        Returns:
            What it shows, and its exit status.
        """
        main, other = pty.openpty()
        fcntl.ioctl(main, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        process = subprocess.Popen(
            arguments, cwd=self.base / cwd, env={**self.environ, "TERM": "xterm", **environ}, stdin=other,
            stdout=other, stderr=other, start_new_session=True,
        )  # fmt: skip
        os.close(other)
        shown, deadline = b"", time.monotonic() + LIMIT_S
        try:
            while time.monotonic() < deadline:
                if not select.select([main], [], [], 0.05)[0]:
                    continue
                try:
                    data = os.read(main, 65_536)
                except OSError:  # The other side is closed.
                    break
                shown += data
                if keys and until.encode() in shown:
                    os.write(main, keys)
                    keys = b""
            return shown.decode(errors="replace").replace("\r\n", "\n"), process.wait(
                max(0.1, deadline - time.monotonic())
            )
        finally:
            process.kill()
            process.wait()
            os.close(main)


@contextmanager
def places(base: Path) -> Iterator[Place]:
    """Make the directories, and serve those that are roots."""

    def git(cwd: str, *arguments: str) -> None:
        subprocess.run([*GIT, *arguments], cwd=base / cwd, check=True, capture_output=True)

    files = {
        "app/src/jobs/queue.py": QUEUE, "app/src/jobs/retry.py": RETRY, "app/tests/test_queue.py": TEST_QUEUE,
        "app/README.md": README, "app/odd [x]/space in.py": "def spaced_name(job):\n    return job\n",
        "app/lib/shared.py": "def shared_queue(job):\n    return job.queue\n",
        "other/work/notes.md": "# Notes\n\nA retry of every job in the queue.\n",
        "other/work/queue.py": "def other_queue(job):\n    return job\n",
        "parts/one/part.py": "def part_queue(job):\n    return job\n", "parts/two/rest.py": "def rest(): ...\n",
        "stranger/deep/x.py": "def strange_queue(job): ...\n", "empty/.keep": "",
    }  # fmt: skip
    for name, text in files.items():
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        (base / name).write_text(text)
    for repository in ("app/lib", "app", "parts", "stranger"):
        git(repository, "init", "-q", "-b", "main")
        git(repository, "add", ".")
        git(repository, "commit", "-qm", "x")
    git("app", "worktree", "add", "-q", "-b", "tree", "../tree")
    git("app", "worktree", "add", "-q", "-b", "kept", "trees/kept")
    (base / "tree/src/jobs/only.py").write_text("def only_in_tree(job):\n    return job.queue\n")
    with daemon() as served:
        served.start(*(base / name for name in ("app", "tree", "other", "parts/one")))
        assert served.flush()["complete"]
        programs = served.home / "bin"
        programs.mkdir()
        (programs / "regenctl").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m regend.cli.main "$@"\n')
        (programs / "regenctl").chmod(0o755)
        environ = {
            "PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(served.home), "LANG": "C.UTF-8",
            "REGEND_SOCKET": str(served.socket), "PYTHONPATH": str(REPOSITORY),
            "XDG_STATE_HOME": str(served.home),
        }  # fmt: skip
        yield Place(base, served, environ)
        assert served.stop() == 0
