"""Whichever call of the daemon's main process fails: it goes on or ends, and the next one's index equals a fresh one.

Calls on files of the state directory and on Unix sockets count, those of its workers do not. What `tests/faults` shows
of the store at every call is shown here of the whole, at some of them: `REGEND_DAEMON_FAULTS` of each kind.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from regend.errors import RegendError
from tests.e2e.rig import Daemon, assert_as_fresh, daemon
from tests.e2e.test_freshness import module
from tests.faults.shim import KINDS, build
from tests.ledger import record

ALL = (*KINDS, "epipe")
PATIENCE_S = 3.0

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="faults are injected by LD_PRELOAD")


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("shim"))


def try_call(subject: Daemon, method: str, **params: object) -> bool:
    """Whether it was answered as it should be; a fault may cost the answer, the connection or the daemon."""
    try:
        subject.call(method, timeout_s=PATIENCE_S, **params)
    except (RegendError, OSError):
        return False
    return True


def live(subject: Daemon, root: Path) -> None:
    """What the daemon goes through: a first index, edits, queries, an orderly end."""
    subject.start(root, wait=False)
    deadline = time.monotonic() + PATIENCE_S
    while subject.process.poll() is None and time.monotonic() < deadline and not try_call(subject, "list"):
        time.sleep(0.02)
    if subject.process.poll() is None:
        try_call(subject, "flush")
        (root / "mod1.py").write_text(module(1, " + edited"))
        (root / "mod2.py").unlink()
        (root / "new.py").write_text(module(30))
        try_call(subject, "search", query="Thing1", sync=True)
        try_call(subject, "flush")
        try_call(subject, "status")
    if subject.process.poll() is None:
        try:
            subject.stop()
        except subprocess.TimeoutExpired:
            raise AssertionError("it does not end when asked to") from None


def case(shim: Path, directory: Path, kind: str, nth: int) -> int:
    """One life with the fault and one without; returns how many calls were counted if `nth` is 0."""
    root, report = directory / "root", directory / "struck"
    root.mkdir(parents=True)
    for n in range(6):
        (root / f"mod{n}.py").write_text(module(n))
    with daemon() as subject:
        subject.environ = {
            "LD_PRELOAD": str(shim), "FAULTS_PARENT": str(os.getpid()), "FAULTS_PREFIX": f"{subject.state_dir}/",
            "FAULTS_KIND": kind, "FAULTS_NTH": str(nth), "FAULTS_REPORT": str(report),
        }  # fmt: skip
        live(subject, root)
        if nth == 0:
            return int(report.read_text().split()[0])
        subject.environ = {}
        struck = report.read_text().strip() if report.exists() else "nothing"
        try:
            subject.start(root)
            assert_as_fresh(subject, root, queries=3)
            assert "catalog_damaged" not in subject.log()
            assert subject.stop() == 0
            left = [str(path) for path in subject.state_dir.rglob("*tmp*") if path.is_file()]
            assert not left, left
        except AssertionError as error:
            raise AssertionError(f"{kind} at call {nth} ({struck}): {error}\n{subject.log()[-1500:]}") from error
    return 0


def run(shim: Path, directory: Path, kind: str, count: int, offset: float) -> None:
    calls = case(shim, directory / "counted", kind, 0)
    numbers = [1 + int((n + offset) * calls / count) for n in range(count)]
    for number in numbers:
        diverged = 1
        try:
            case(shim, directory / str(number), kind, number)
            diverged = 0
        finally:
            record(f"daemon: {kind} at call n", 1, diverged=diverged)


@pytest.mark.parametrize("kind", ["full"])
def test_a_fault_in_the_middle(shim: Path, tmp_path: Path, kind: str) -> None:
    run(shim, tmp_path.resolve(), kind, count=1, offset=0.6)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ALL)
def test_faults_at_many_calls(shim: Path, tmp_path: Path, kind: str) -> None:
    run(shim, tmp_path.resolve(), kind, count=int(os.environ.get("REGEND_DAEMON_FAULTS", "12")), offset=0.3)
