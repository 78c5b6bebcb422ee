"""How long a tree takes to index, what that costs, and how soon a restarted daemon is ready."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from benchmarks.daemons import cpu_s, peak_rss_mb, private_daemon, quiet


def run(root: Path, idle_s: float = 10.0) -> dict[str, Any]:
    """Index `root` from nothing, restart, and watch the idle daemon for a while."""
    with private_daemon() as daemon:
        began_at = time.perf_counter()
        daemon.start(root)
        with_words_s = None
        while True:
            status = daemon.call("status")
            words = status["roots"][0]
            if with_words_s is None and words["files_indexed"] and not words["pending"]:
                with_words_s = time.perf_counter() - began_at
            if status["complete"]:
                break
            time.sleep(0.05)
        done = daemon.flush()
        took_s = time.perf_counter() - began_at
        status = daemon.call("status")
        served = status["roots"][0]
        processes = daemon.processes()
        figures: dict[str, Any] = {
            "root": str(root),
            "seconds_to_words": round(with_words_s or took_s, 2),
            "seconds_to_complete": round(took_s, 2),
            "files_indexed": served["files_indexed"],
            "files_skipped": served["files_skipped"],
            "skipped_by_reason": served["skipped_by_reason"],
            "chunks": served["chunks"],
            "failed": len(done["failed"]),
            "files_per_s": round(served["files_indexed"] / took_s, 1),
            "daemon_cpu_s": round(cpu_s(processes[0]), 2),
            "workers_cpu_s": round(sum(cpu_s(pid) for pid in processes[1:]), 2),
            "daemon_peak_rss_mb": round(peak_rss_mb(processes[0]), 1),
            "workers_peak_rss_mb": [round(peak_rss_mb(pid), 1) for pid in processes[1:]],
            "state_mb": round(sum(f.stat().st_size for f in daemon.state_dir.rglob("*") if f.is_file()) / 1e6, 1),
            "stages": status["stages"],
        }
        figures["background_s"] = round(quiet(processes[0]), 1)
        before = sum(cpu_s(pid) for pid in daemon.processes())
        time.sleep(idle_s)
        figures["idle_cpu_share"] = round((sum(cpu_s(pid) for pid in daemon.processes()) - before) / idle_s, 4)
        daemon.stop()
        figures["restart_to_answer_s"] = round(daemon.start(), 3)
        began_at = time.perf_counter()
        daemon.flush()
        figures["restart_to_reconciled_s"] = round(time.perf_counter() - began_at, 3)
        figures["embedded_after_restart"] = daemon.call("status")["counters"]["embedded_chunks"]
        daemon.stop()
    return figures
