"""Where the right file ranks for hand-written questions: `[{"query": …, "relevant": [path, …]}, …]`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.daemons import private_daemon


def run(root: Path, questions: Path) -> dict[str, Any]:
    """Index `root`, ask each question once, and note the rank of the first right file among ten results."""
    asked = json.loads(questions.read_text())
    rows = []
    with private_daemon() as daemon:
        daemon.start(root)
        daemon.flush()
        for question in asked:
            results = daemon.call("search", query=question["query"], k=10)["results"]
            rank = next((n for n, r in enumerate(results, 1) if r["path"] in question["relevant"]), None)
            rows.append({"query": question["query"], "relevant": question["relevant"], "rank": rank})
        daemon.stop()
    found = [row["rank"] for row in rows if row["rank"] is not None]
    return {
        "questions": len(rows),
        "in_top_10": len(found),
        "first": sum(rank == 1 for rank in found),
        "mrr": round(sum(1 / rank for rank in found) / len(rows), 3),
        "ranks": rows,
    }
