"""A root whose file system stops answering holds up nothing: not another root, not an answer, not the end.

`hang` makes file calls of a real daemon hang. The audit lets each call site hang in turn, and the list of the sites
comes from the daemon itself.
"""

from __future__ import annotations

import os
import random
import signal
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from regend.errors import RegendError
from regend.rpc.client import Client
from tests.e2e.rig import Daemon, daemon, wait_for
from tests.ledger import record

QUICK_SITES = 1
FLUSH_LIMIT_S = 5.0
STATUS_LIMIT_S = 1.0
END_LIMIT_S = 5.0


@contextmanager
def hangable(tmp_path: Path) -> Iterator[tuple[Daemon, Path, Path, Path]]:
    root, other, flag = tmp_path.resolve() / "root", tmp_path.resolve() / "other", tmp_path / "flag"
    for directory, name in ((root, "apple"), (other, "pear")):
        (directory / "src").mkdir(parents=True)
        (directory / f"src/{name}.py").write_text(f"def {name}():\n    return 1\n")
    with daemon() as subject:
        subject.launcher = (sys.executable, "-m", "tests.e2e.hang")
        subject.environ = {"HANG_ROOT": str(root), "HANG_FLAG": str(flag), "HANG_SITES": str(tmp_path / "sites")}
        yield subject, root, other, flag
        flag.unlink(missing_ok=True)


def state(subject: Daemon, root: Path) -> str:
    return str(subject.root(root)["state"])


def served(subject: Daemon) -> bool:
    """Tell whether all roots answer; one of them lies in the root that hangs."""
    return all(root["state"] in ("ready", "indexing") for root in subject.status()["roots"])


def hang(flag: Path, site: str = "") -> None:
    ready = flag.with_name("flag.new")
    ready.write_text(site)
    ready.replace(flag)


def flush(subject: Daemon, method: str = "flush") -> None:
    with Client(subject.socket, timeout_s=FLUSH_LIMIT_S + 1) as client:
        client.call(method, timeout_s=FLUSH_LIMIT_S)


def test_a_hung_root_holds_up_nothing(tmp_path: Path) -> None:
    with hangable(tmp_path) as (subject, root, other, flag):
        subject.start(root, other).flush()
        hang(flag)
        (root / "src/apple.py").write_text("def apricot():\n    return 1\n")
        for _ in range(8):  # More than the event loop has threads for calls that may wait.
            begun = time.monotonic()
            flush(subject)
            assert time.monotonic() - begun < FLUSH_LIMIT_S
        assert state(subject, root) == "hung" and subject.root(root)["watching"] == "nothing"
        assert not subject.status()["complete"]
        with pytest.raises(RegendError, match="No answer from the file system"):
            subject.call("why", file=str(root / "src/apple.py"))
        assert subject.call("why", file=str(other / "src/pear.py"))["state"] == "indexed"
        assert subject.paths("apple")[0] == "src/apple.py", "what was indexed stays searchable"
        (other / "src/new.py").write_text("def plum():\n    return 1\n")
        flush(subject)
        assert subject.paths("plum")[0] == "src/new.py"

        flag.unlink()
        wait_for(lambda: state(subject, root) == "ready", "it is served again")
        assert subject.flush()["complete"] and subject.paths("apricot")[0] == "src/apple.py"
        (root / "src/late.py").write_text("def quince():\n    return 1\n")
        subject.flush()
        assert subject.paths("quince")[0] == "src/late.py" and subject.root(root)["watching"] == "events"


def test_start_and_end_beside_a_hung_root(tmp_path: Path) -> None:
    with hangable(tmp_path) as (subject, root, other, flag):
        subject.start(root, other).flush()
        subject.stop()
        hang(flag)
        begun = time.monotonic()
        subject.start(root, other)
        assert time.monotonic() - begun < 10.0
        assert subject.paths("pear")[0] == "src/pear.py" and subject.paths("apple")[0] == "src/apple.py"
        flush(subject)
        wait_for(lambda: state(subject, root) == "hung", "it is shown")
        subject.process.send_signal(signal.SIGTERM)
        begun = time.monotonic()
        assert subject.process.wait(20) == 0 and time.monotonic() - begun < END_LIMIT_S
        flag.unlink()
        subject.start()
        assert subject.flush()["complete"] and subject.status()["counters"]["embedded_chunks"] == 0


def exercise(subject: Daemon, root: Path, other: Path, number: int) -> list[float]:
    """Change the root in every way that makes the daemon look at it, and ask for it; return how long `status` took."""
    (root / f"d{number}").mkdir()
    (root / f"d{number}/.gitignore").write_text("*.log\n")
    (root / f"d{number}/new.py").write_text(f"def root_{number}():\n    return 1\n")
    (root / ".regend.toml").write_text(f"[limits]\nmax_file_bytes = {1_000_000 - number}\n")
    (root / "src/apple.py").write_text(f"def apple():\n    return {number}\n")
    os.chmod(root, 0o755 if number % 2 else 0o750)
    (other / "src/new.py").write_text(f"def other_{number}():\n    return 1\n")
    took: list[float] = []
    for method, arguments in (
        ("sync", {}),
        ("why", {"file": str(root / "src/apple.py")}),
        ("why", {"file": str(root / "../other/src/pear.py")}),
        ("reindex", {"path": str(root)}),
        ("add", {"path": str(root / "src"), "force": False}),
        ("flush", {}),
    ):
        begun = time.monotonic()
        try:
            if method in ("sync", "flush"):
                flush(subject, method)
            else:
                subject.call(method, **arguments)
        except RegendError:
            assert method in ("why", "add"), f"{method} failed"
        assert time.monotonic() - begun < (FLUSH_LIMIT_S if method != "add" else 12.0), method
        for _ in range(4):
            begun = time.monotonic()
            subject.call("status")
            took.append(time.monotonic() - begun)
    assert subject.paths(f"other_{number}")[:1] == ["src/new.py"], "an edit elsewhere is found"
    return took


def audit(tmp_path: Path, most: int) -> None:
    with hangable(tmp_path) as (subject, root, other, flag):
        subject.start(root, other).flush()
        exercise(subject, root, other, 0)
        sites = sorted(set((tmp_path / "sites").read_text().splitlines()))
        assert len(sites) > 10
        chosen = sites if most >= len(sites) else random.Random(5).sample(sites, most)
        took: list[float] = []
        for number, site in enumerate(chosen, 1):
            hang(flag, site)
            took += exercise(subject, root, other, number)
            flag.unlink()
            wait_for(lambda: served(subject), f"served again after {site}")
            assert subject.flush()["complete"], site
            assert subject.paths(f"root_{number}")[:1] == [f"d{number}/new.py"], site
        took.sort()
        p99 = took[min(len(took) - 1, len(took) * 99 // 100)]
        middle = statistics.median(took)
        note = f"{len(chosen)} of {len(sites)} sites; status p50 {middle * 1e3:.1f} ms, p99 {p99 * 1e3:.1f} ms"
        record("a hung root, by call site", len(chosen), note=note)
        assert p99 < STATUS_LIMIT_S
        hang(flag)
        (root / "src/apple.py").write_text("def apple():\n    return -1\n")
        begun = time.monotonic()
        subject.process.send_signal(signal.SIGTERM)
        assert subject.process.wait(20) == 0 and time.monotonic() - begun < END_LIMIT_S


def test_each_call_site_may_hang(tmp_path: Path) -> None:
    audit(tmp_path, QUICK_SITES)


@pytest.mark.slow
def test_every_call_site_may_hang(tmp_path: Path) -> None:
    audit(tmp_path, sys.maxsize)
