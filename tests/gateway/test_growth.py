"""Ten thousand requests of every kind leave the gateway's memory, threads and descriptors as they were."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.gateway.rig import Gateway, gateway
from tests.rpc.scripted import ROOT, ServerThread, short_directory

REQUESTS = 10_000
MAX_GROWTH_KB = 4_096


def rounds(served: Gateway, count: int) -> None:
    """Ask right and wrong questions in turn, over a connection that is renewed now and then."""
    call = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "outline", "arguments": {"file": "/x"}},
    }
    questions = [
        ("POST", "/api/search", {"query": "quiet"}), ("POST", "/page/search", {"query": "time"}),
        ("GET", "/api/status", None), ("POST", "/api/search", {"k": 0}), ("GET", "/no/such/path", None),
        ("GET", "/metrics", None), ("POST", "/mcp", call), ("GET", "/static/app.js", None),
        ("POST", "/api/files", {"root": ROOT}), ("GET", "/api/openapi.json", None),
    ]  # fmt: skip
    headers = {"Authorization": f"Bearer {served.token}", "Content-Type": "application/json"}
    connection = served.connection()
    for number in range(count):
        if number % 500 == 499:
            connection.close()
        method, path, body = questions[number % len(questions)]
        if path.startswith("/no"):
            path = f"{path}/{number}"
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        connection.getresponse().read()
    connection.close()


def figures(served: Gateway) -> tuple[int, int]:
    pid = served.process.pid
    return len(os.listdir(f"/proc/{pid}/task")), len(os.listdir(f"/proc/{pid}/fd"))


@pytest.mark.slow
def test_many_requests_leave_nothing_behind() -> None:
    with short_directory() as directory, ServerThread(directory / "s") as daemon, gateway(daemon.path) as served:
        daemon.script.seen = _Forgetful()
        rounds(served, REQUESTS // 5)
        before, open_before = served.rss_kb(), figures(served)
        rounds(served, REQUESTS)
        after, open_after = served.rss_kb(), figures(served)
        print(f"memory {before:,} kB, after {REQUESTS:,} requests {after:,} kB; threads and files {open_after}")
        assert after - before <= MAX_GROWTH_KB
        assert open_after[0] <= open_before[0]
        assert open_after[1] <= open_before[1] + 2
        assert not Path(f"/proc/{served.process.pid}/status").read_text().count("Z (zombie)")


class _Forgetful(list[object]):
    """Keeps nothing, so that the scripted daemon does not grow instead."""

    def append(self, _: object) -> None:
        pass
