"""Files that change without end neither keep the processor busy nor hold others up; the daemon never reads its own log.

The slow test runs for `REGEND_HOT_S` seconds (60; 600 for the figures of the documentation).
"""

from __future__ import annotations

import os
import statistics
import threading
import time
from pathlib import Path

import pytest

from tests.e2e.rig import Daemon, daemon, wait_for
from tests.ledger import record

SECONDS = float(os.environ.get("REGEND_HOT_S", "60"))
LOG_BYTES = 800_000
LINE = "2026-01-01T00:00:{:02} INFO worker.{} handled request id={} status=200\n"
MAX_CORE_SHARE = 0.05
MAX_EDIT_S = 1.0
MAX_FLUSH_S = 5.0
"""Limits of the medians that hold on a machine that is busy besides; the ledger's note has the figures."""


def processor_s(subject: Daemon) -> tuple[float, float]:
    """Return the processor time of the daemon and of its workers so far, in seconds."""

    def of(pid: int) -> float:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    return of(subject.process.pid), sum(of(pid) for pid in subject.worker_pids())


class Growth:
    """Appends a line to a file every `period_s` while it is open."""

    def __init__(self, file: Path, period_s: float) -> None:
        self._file, self._period_s = file, period_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._grow)

    def __enter__(self) -> Growth:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _grow(self) -> None:
        number = 0
        with self._file.open("a", buffering=1) as log:
            while not self._stop.wait(self._period_s):
                log.write(f"INFO {number}\n")  # Short, because at 1 MB the file would be skipped.
                number += 1


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "a.py").write_text("def before():\n    return 1\n")
    return tmp_path


def test_the_daemons_log_and_output_in_a_root_lead_to_no_commit(root: Path) -> None:
    with daemon() as subject:
        (root / "nohup.out").hardlink_to(subject.home / "log")
        subject.arguments = ["--log-file", str(root / "regend.log"), "--log-level", "debug"]
        subject.start(root)
        subject.flush()
        for name in ("nohup.out", "regend.log"):
            assert subject.call("why", file=str(root / name))["reason"].startswith("own_log: ")
        size = (root / "regend.log").stat().st_size
        generation = subject.flush()["generation"]
        for _ in range(20):
            subject.call("list")
            subject.flush()
        assert (root / "regend.log").stat().st_size > size, "the log grew"
        assert subject.status()["generation"] == generation


def test_an_append_to_a_skipped_file_leads_to_no_commit(root: Path) -> None:
    contents = {"large.txt": b"x" * 1_000_001, "image.bin": bytes(range(256)) * 9, "app.min.js": b"y" * 200_000}
    for name, content in contents.items():
        (root / name).write_bytes(content)
    with daemon() as subject:
        subject.start(root)
        for number in range(2):  # The second time, a restart: the reasons are read again.
            subject.flush()
            for name in contents:
                with (root / name).open("ab") as file:
                    file.write(b"\0" if name == "image.bin" else b"z")
            generation = subject.flush()["generation"]
            for name in contents:
                with (root / name).open("ab") as file:
                    file.write(b"\0" if name == "image.bin" else b"z")
                assert subject.flush()["generation"] == generation, (number, name)
            skipped = subject.root(root)["skipped_by_reason"]
            assert sum(skipped.values()) == 3, skipped
            subject.stop()
            subject.start(root)


def test_a_growing_file_is_named_in_status_and_a_flush_finds_its_last_line(root: Path) -> None:
    log = root / "app.log"
    log.write_text("".join(LINE.format(n % 60, n % 50, n * 7919) for n in range(LOG_BYTES // 70)))
    with daemon() as subject:
        subject.start(root)
        subject.flush()
        with Growth(log, 0.05):
            wait_for(lambda: bool(subject.status()["hot_files"]), "the log is hot", 60.0)
            (hot,) = subject.status()["hot_files"]
            assert (hot["root"], hot["path"]) == (str(root), "app.log") and 0 < hot["next_look_s"] <= 60.0
            assert not subject.status()["complete"]
            for number in range(3):
                with log.open("a") as file:
                    file.write(f"marker{number}quartz\n")
                subject.flush()
                assert subject.paths(f"marker{number}quartz", k=1) == ["app.log"]
            edited_at = time.monotonic()
            (root / "a.py").write_text("def after():\n    return 1\n")
            wait_for(lambda: bool(subject.call("symbols", name="after")["symbols"]), "the edit is visible")
            assert time.monotonic() - edited_at < 5.0


@pytest.mark.slow
def test_a_log_that_grows_for_long_costs_little(root: Path) -> None:
    log = root / "app.log"
    log.write_text("".join(LINE.format(n % 60, n % 50, n * 7919) for n in range(LOG_BYTES // 70)))
    edits_s, flushes_s = list[float](), list[float]()
    with daemon() as subject:
        subject.start(root)
        subject.flush()
        time.sleep(5.0)  # For the background work of the start.
        generation, started_at, before = subject.status()["generation"], time.monotonic(), processor_s(subject)
        with Growth(log, 0.1):
            number = 0
            while time.monotonic() - started_at < SECONDS:
                time.sleep(min(10.0, SECONDS / 6))
                edited_at = time.monotonic()
                (root / "a.py").write_text(f"def edit_{number}():\n    return {number}\n")
                while not subject.call("symbols", name=f"edit_{number}")["symbols"]:
                    time.sleep(0.01)
                edits_s.append(time.monotonic() - edited_at)
                number += 1
            commits = subject.status()["generation"] - generation
            after, took_s = processor_s(subject), time.monotonic() - started_at
            for _ in range(5):
                time.sleep(0.5)
                flushed_at = time.monotonic()
                subject.flush()
                flushes_s.append(time.monotonic() - flushed_at)
        shares = [(late - early) / took_s for early, late in zip(before, after, strict=True)]
    edit_s, flush_s = statistics.median(edits_s), statistics.median(flushes_s)
    note = (
        f"{took_s:.0f} s: {commits} commits, daemon {shares[0]:.1%} and workers {shares[1]:.1%} of a core, "
        f"edits {edit_s * 1e3:.0f} ms, flush {flush_s * 1e3:.0f} ms (medians)"
    )
    kept = sum(shares) <= MAX_CORE_SHARE and edit_s <= MAX_EDIT_S and flush_s <= MAX_FLUSH_S
    record("a growing log", 1, diverged=not kept, note=note)
    assert kept, note


@pytest.mark.slow
def test_a_daemon_with_its_log_in_the_root_comes_to_rest(root: Path) -> None:
    with daemon() as subject:
        (root / "nohup.out").hardlink_to(subject.home / "log")
        subject.start(root)
        subject.flush()
        time.sleep(5.0)
        generation, before = subject.status()["generation"], processor_s(subject)
        time.sleep(SECONDS)
        commits = subject.status()["generation"] - generation
        spent_s = sum(processor_s(subject)) - sum(before)
    note = f"{SECONDS:.0f} s: {commits} commits, {spent_s / SECONDS:.2%} of a core"
    record("own log in the root", 1, diverged=commits > 2, note=note)
    assert commits <= 2, note
