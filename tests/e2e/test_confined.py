"""The daemon and its workers live within the system call filter that the systemd unit puts them under."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e import confine
from tests.e2e.rig import REPOSITORY, assert_as_fresh, daemon, wait_for
from tests.e2e.test_freshness import module

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="seccomp is Linux's"),
    pytest.mark.skipif(bool(sys.platform == "linux" and confine.missing()), reason=confine.missing()),
]
LAUNCHER = (sys.executable, "-m", "tests.e2e.confine")


def seccomp_mode(pid: int) -> str:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line.split()[1] for line in lines if line.startswith("Seccomp:"))


@pytest.mark.parametrize(
    "act",
    [
        "ctypes.CDLL(None).swapoff(b'/nowhere')",
        "ctypes.CDLL(None).mount(None, b'/nowhere', None, 0, None)",
        "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
    ],
)
def test_what_is_refused_ends_the_process(act: str) -> None:
    program = [sys.executable, "-c", f"import ctypes, socket; {act}"]
    assert subprocess.run(program, cwd=REPOSITORY, capture_output=True).returncode != -signal.SIGSYS
    assert subprocess.run([*LAUNCHER, *program], cwd=REPOSITORY).returncode == -signal.SIGSYS


def test_a_life_under_the_filter(tmp_path: Path) -> None:
    root = tmp_path.resolve() / "repo"
    root.mkdir()
    for n in range(20):
        (root / f"mod{n}.py").write_text(module(n))
    with daemon() as subject:
        subject.launcher = LAUNCHER
        for _ in range(2):
            subject.start(root)
            assert subject.flush()["complete"]
            (root / "mod1.py").write_text(module(1, " + edited"))
            (root / "mod2.py").unlink(missing_ok=True)
            (root / "new").mkdir(exist_ok=True)
            (root / "new" / "mod3.py").write_text(module(30))
            assert "new/mod3.py" in subject.paths("Thing30", sync=True)
            (worker, *_) = subject.worker_pids()
            assert seccomp_mode(subject.process.pid) == seccomp_mode(worker) == "2", "a filter is in force"
            os.kill(worker, signal.SIGKILL)
            wait_for(lambda gone=worker: gone not in subject.worker_pids(), "the worker is replaced")  # type: ignore[misc]
            (root / "mod4.py").write_text(module(4, " + again"))
            subject.call("related", file=str(root / "mod5.py"))
            assert_as_fresh(subject, root, queries=5)
            assert subject.stop() == 0
        assert '"exit": -31' not in subject.log(), "no worker was ended by the filter"
