"""Many small roots share one inotify instance, few threads and few descriptors; counts, not times."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.e2e.rig import daemon, wait_for
from tests.ledger import record

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="counts come from /proc")


def serve(tmp_path: Path, count: int) -> None:
    roots = [tmp_path / f"root{number}" for number in range(count)]
    for number, root in enumerate(roots):
        root.mkdir()
        (root / "a.py").write_text(f"def function_{number}():\n    return {number}\n")
    with daemon() as subject:
        subject.start(*roots).flush()
        wait_for(lambda: all(r["watching"] == "events" for r in subject.status()["roots"]), "all are watched by events")
        process = Path(f"/proc/{subject.process.pid}")
        threads = len(list((process / "task").iterdir()))
        opened = [os.readlink(link) for link in (process / "fd").iterdir()]
        peak_mb = next(
            int(line.split()[1]) // 1_000
            for line in (process / "status").read_text().splitlines()
            if line.startswith("VmHWM")
        )
        assert sum("inotify" in name for name in opened) == 1
        assert threads <= 60 and len(opened) <= 150 and peak_mb <= 200, (threads, len(opened), peak_mb)
        record(
            "many small roots", count, note=f"{threads} threads, {len(opened)} descriptors, {peak_mb} MB at the peak"
        )
        (roots[-1] / "a.py").write_text("def late_function():\n    return 1\n")
        subject.flush()
        assert subject.paths("late_function")[0] == "a.py"


def test_some_roots(tmp_path: Path) -> None:
    serve(tmp_path, 30)


@pytest.mark.slow
def test_many_roots(tmp_path: Path) -> None:
    serve(tmp_path, 150)
