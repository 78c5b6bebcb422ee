"""`make demo`: the whole cycle on this repository, with a private daemon that leaves nothing behind."""

from __future__ import annotations

import os
import time
from pathlib import Path

from benchmarks.daemons import machine, private_daemon

QUERIES = ("where are flush tickets resolved", "Debouncer", "how is a stale socket told from a live one")
SECRET_NAME = "a_function_that_was_saved_a_moment_ago"


def run() -> int:
    repository = Path(__file__).resolve().parent.parent
    print(f"regend demo on {repository} ({machine()})\n")
    with private_daemon() as daemon:
        scratch = daemon.home / "scratch"
        scratch.mkdir()
        began_at = time.perf_counter()
        ready_s = daemon.start(repository, scratch)
        done = daemon.flush()
        root = next(r for r in daemon.call("status")["roots"] if r["path"] == str(repository))
        took_s = time.perf_counter() - began_at
        print(
            f"1. indexed {root['files_indexed']} files as {root['chunks']} chunks {took_s:.1f} s after the start "
            f"(answering after {ready_s:.2f} s); complete: {done['complete']}\n"
        )
        for query in QUERIES:
            page, took_s = daemon.regenctl("search", query, "-k", "3", "--root", str(repository), "--format", "human")
            print(f"2. regenctl search {query!r}: {took_s * 1e3:.0f} ms for the whole process")
            print(
                "".join(f"     {line}\n" for line in page.splitlines() if line.startswith("/") or " results in" in line)
            )
        file = scratch / "scratch.py"
        file.write_text("def unrelated():\n    return 1\n")
        daemon.flush()
        file.write_text(f"def {SECRET_NAME}():\n    return 42\n")
        saved_at = time.perf_counter()
        found: list[str] = []
        while not found and time.perf_counter() - saved_at < 10.0:
            results = daemon.call("search", query=SECRET_NAME, k=1, root=str(scratch))["results"]
            found = [r["path"] for r in results if SECRET_NAME in r["snippet"]]
        plain_ms = (time.perf_counter() - saved_at) * 1e3
        file.write_text(f"def {SECRET_NAME}_twice():\n    return 43\n")
        saved_at = time.perf_counter()
        results = daemon.call("search", query=f"{SECRET_NAME}_twice", k=1, root=str(scratch), sync=True)["results"]
        sync_ms = (time.perf_counter() - saved_at) * 1e3
        synced = bool(results) and f"{SECRET_NAME}_twice" in results[0]["snippet"]
        print(f"3. a scratch file was edited; plain queries found it {plain_ms:.0f} ms after the save: {bool(found)}")
        print(f"   a query with --sync found the next edit, {sync_ms:.0f} ms after the save: {synced}\n")
        processes = daemon.processes()
        status = daemon.stop()
        deadline = time.monotonic() + 5.0
        while (left := [pid for pid in processes if _runs(pid)]) and time.monotonic() < deadline:
            time.sleep(0.02)
        print(f"4. stopped with exit status {status}; processes left: {len(left)}")
        good = done["complete"] and bool(found) and synced and status == 0 and not left
    print("\nAll of it worked." if good else "\nSomething did not work; see above.")
    return 0 if good else 1


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
