"""Metrics are the daemon's status and the gateway's requests, under names that Prometheus' own check accepts."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from regend.gateway.metrics import shared_families
from tests.gateway.rig import Gateway, gateway
from tests.rpc.scripted import ROOT, ServerThread, short_directory


@pytest.fixture
def served() -> Iterator[Gateway]:
    with short_directory() as directory, ServerThread(directory / "s") as daemon, gateway(daemon.path) as made:
        yield made


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_scrape_has_the_status_and_the_requests(served: Gateway) -> None:
    assert served.get("/api/status").status == 200
    assert served.get("/api/search").status == 400
    for path in ("/no/such/path", "/another"):
        assert served.get(path).status == 404
    reply = served.get("/metrics")
    assert reply.headers["Content-Type"].startswith("text/plain; version=")
    found = samples(reply.body.decode())
    assert found["regend_up", ()] == 1
    assert found["regend_build_info", (("model", "hash-256"), ("version", "0.1.0"))] == 1
    assert found["regend_root_files", (("root", ROOT),)] == 120
    assert found["regend_root_skipped_files", (("reason", "binary"), ("root", ROOT))] == 2
    assert found["regend_stage_p95_seconds", (("stage", "chunk"),)] == 0.009
    assert found["regend_stage_runs_total", (("stage", "chunk"),)] == 120
    assert found["regend_embedded_chunks_total", ()] == 900
    assert found["regend_resident_memory_bytes", (("process", "daemon"),)] == 104_857_600
    assert found["regend_http_requests_total", (("path", "/api/search"), ("status", "400"))] == 1
    assert found["regend_http_requests_total", (("path", "unknown"), ("status", "404"))] == 2
    assert found["regend_http_request_duration_seconds_count", (("path", "/api/status"),)] == 1
    assert 1e6 < found["regend_http_process_resident_memory_bytes", ()] < 2e8


def test_a_shared_store_has_metrics() -> None:
    assert values_of({}) == {}
    root = {"path": "/w/web", "waiting": 12, "lag_s": 1.5, "lease_s": None, "in_memory": 3, "error": ""}
    counted = {"reused": 5, "pushed": 7, "withheld": 1, "searched": 20, "search_failures": 2}
    found = values_of({"store": "sqlite:///s.db", "error": "It is gone.", **counted, "roots": [root]})
    assert found == {
        ("regend_shared_up", ()): 0.0,
        ("regend_shared_waiting_chunks", ("/w/web",)): 12.0,
        ("regend_shared_lag_seconds", ("/w/web",)): 1.5,
        ("regend_shared_vectors_in_memory", ("/w/web",)): 3.0,
        **{(f"regend_shared_{name}_total", ()): float(value) for name, value in counted.items()},
    }


def values_of(shared: dict[str, Any]) -> dict[tuple[str, tuple[str, ...]], float]:
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in shared_families(shared)
        for sample in family.samples
    }


def test_without_a_daemon_it_is_down(served: Gateway) -> None:
    with short_directory() as directory, gateway(directory / "none") as alone:
        found = samples(alone.get("/metrics").body.decode())
        assert found["regend_up", ()] == 0
        assert not any(name.startswith("regend_root") for name, _ in found)


def test_promtool_has_nothing_to_say(served: Gateway) -> None:
    if not shutil.which("promtool"):
        pytest.skip("promtool is missing (Debian package prometheus)")
    served.get("/api/status")
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=served.get("/metrics").body, capture_output=True, timeout=30
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
