"""Whichever call of the daemon's main process fails: it goes on or ends, and the next one's index equals a fresh one.

Calls on files of the state directory and on Unix sockets count, those of its workers do not. `tests/faults` fails every
call of the store; these tests fail the first, a middle and the last call of the whole daemon at every site (a call on
one sort of file).
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from regend.errors import RegendError
from tests.e2e.rig import Daemon, assert_as_fresh, daemon
from tests.e2e.test_freshness import module
from tests.faults.shim import KINDS, build
from tests.ledger import record

ALL = (*KINDS, "epipe")
START_PATIENCE_S = 10.0
PATIENCE_S = 3.0
AT_ONCE = 3

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
    """Lead the daemon through a first index, edits, queries, and an orderly end."""
    subject.start(root, wait=False)
    deadline = time.monotonic() + START_PATIENCE_S
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
            # The loop's socket pair, over which a signal wakes it, may be what was struck; no real one refuses a byte.
            assert subject.environ["FAULTS_KIND"] == "epipe", "it does not end when asked to"
            assert subject.stop() == 0, "it does not end when asked again"


@dataclass(frozen=True)
class Fault:
    """A fault and its call: the n-th one of a site, such as `pwrite index.db-wal`; 0 only counts the calls."""

    kind: str
    site: str = ""
    nth: int = 0


def case(shim: Path, directory: Path, fault: Fault) -> list[str]:
    """One life with the fault and one without; returns what the shim said: what it struck, or every call in order."""
    root, report = directory / "root", directory / "struck"
    root.mkdir(parents=True)
    for n in range(6):
        (root / f"mod{n}.py").write_text(module(n))
    with daemon() as subject:
        subject.program = (sys.executable, "-m", "tests.e2e.words_on_disk")
        subject.environ = {
            "LD_PRELOAD": str(shim), "FAULTS_PARENT": str(os.getpid()), "FAULTS_PREFIX": f"{subject.state_dir}/",
            "FAULTS_KIND": fault.kind, "FAULTS_SITE": fault.site, "FAULTS_NTH": str(fault.nth),
            "FAULTS_REPORT": str(report),
        }  # fmt: skip
        live(subject, root)
        said = report.read_text().splitlines() if report.exists() else []
        if fault.nth == 0:
            return said
        subject.environ = {}
        try:
            subject.start(root)
            assert_as_fresh(subject, root, queries=3)
            assert "catalog_damaged" not in subject.log()
            assert subject.stop() == 0
            left = [str(path) for path in subject.state_dir.rglob("*tmp*") if path.is_file()]
            assert not left, left
        except AssertionError as error:
            raise AssertionError(f"{fault} ({said}): {error}\n{subject.log()[-1500:]}") from error
    return said


def sites(shim: Path, directory: Path, kind: str) -> Counter[str]:
    """How often the scripted life comes by each site at which this kind of fault may strike."""
    return Counter(line.split(maxsplit=1)[1] for line in case(shim, directory, Fault(kind)))


def chosen(kind: str, counts: Counter[str], per_site: int) -> list[Fault]:
    """The first call of each site (with `per_site` 1), its last, too (2), and one in its middle (3)."""
    return [
        Fault(kind, site, nth)
        for site, count in sorted(counts.items())
        for nth in sorted({*(1, count, (count + 1) // 2)[:per_site]})
    ]


def run(shim: Path, directory: Path, faults: list[Fault]) -> set[str]:
    """Returns the sites that were struck: a life is never twice the same, and the last call may not come."""

    def one(number: int) -> str:
        diverged = 1
        try:
            said = case(shim, directory / str(number), faults[number])
            diverged = 0
        finally:
            record(f"daemon: {faults[number].kind} at call n", 1, diverged=diverged)
        return faults[number].site if said else ""

    # Most of their time daemons under a fault that stays, and clients, wait.
    with ThreadPoolExecutor(AT_ONCE) as lives:
        return set(lives.map(one, range(len(faults)))) - {""}


@pytest.mark.parametrize("kind", ["full"])
def test_a_fault_in_the_middle(shim: Path, tmp_path: Path, kind: str) -> None:
    counts = sites(shim, tmp_path.resolve() / "counted", kind)
    (site, count) = max(counts.items(), key=lambda item: item[1])
    assert run(shim, tmp_path.resolve(), [Fault(kind, site, count // 2)]) == {site}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ALL)
def test_faults_at_every_site(shim: Path, tmp_path: Path, kind: str) -> None:
    counts = sites(shim, tmp_path.resolve() / "counted", kind)
    faults = chosen(kind, counts, int(os.environ.get("REGEND_FAULTS_PER_SITE", "3")))
    struck = run(shim, tmp_path.resolve(), faults)
    note = f"{len(struck)} of {len(counts)} sites struck, {len(faults)} of {counts.total():,} calls"
    record(f"daemon: {kind} at call n", 0, note=note)
