"""Metrics for Prometheus: the daemon's `status` at the time of the scrape, and the requests that the gateway answered.

Names follow https://prometheus.io/docs/practices/naming/. Labels hold paths of roots, and never a query or a file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric

from regend.errors import RegendError
from regend.gateway.upstream import Upstream

PATH = "/metrics"
_NOW = frozenset(("connections", "watches"))
"""Figures among the daemon's counters that are no totals."""
_BUCKETS_S = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_STAGE_FIGURES = {
    "p50_ms": ("median", "Median time of the last runs of a stage"),
    "p95_ms": ("p95", "95th percentile of the time of the last runs of a stage"),
    "max_ms": ("longest", "Longest time of the last runs of a stage"),
}


class Metrics:
    """Answers scrapes; owns the counts of the gateway's own requests."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._own = CollectorRegistry()
        ProcessCollector(namespace="regend_http", registry=self._own)
        self._requests = Counter(
            "regend_http_requests", "Requests that the gateway answered", ("path", "status"), registry=self._own
        )
        self._times = Histogram(
            "regend_http_request_duration_seconds", "Time from a request to the gateway to its answer", ("path",),
            registry=self._own, buckets=_BUCKETS_S,
        )  # fmt: skip

    def count(self, request: web.Request, status: int, took_s: float) -> None:
        """Count an answered request. A path that does not exist counts as one path, whatever it was."""
        resource = request.match_info.route.resource
        path = resource.canonical if resource is not None else "unknown"
        self._requests.labels(path, str(status)).inc()
        self._times.labels(path).observe(took_s)

    async def answer(self, request: web.Request) -> web.Response:
        """Answer a scrape; without a daemon `regend_up` is 0, and the daemon's figures are missing."""
        try:
            status = await self._upstream.call("status", {})
        except RegendError:
            status = None
        encode, kind = choose_encoder(request.headers.get("Accept", ""))
        body = encode(_Families([*daemon_families(status), *self._own.collect()]))
        return web.Response(body=body, headers={"Content-Type": kind, "Cache-Control": "no-store"})


@dataclass(frozen=True, slots=True)
class _Families:
    """Families in the form that an encoder of prometheus_client asks for."""

    families: Iterable[Metric]

    def collect(self) -> Iterable[Metric]:
        return self.families


def daemon_families(status: Mapping[str, Any] | None) -> list[Metric]:
    """Return the families of a `status`; None if the daemon does not answer."""
    up = GaugeMetricFamily("regend_up", "Whether the daemon answers", float(status is not None))
    if status is None:
        return [up]
    build = InfoMetricFamily("regend_build", "Version of the daemon, and its model")
    build.add_metric((), {"version": status["version"], "model": str(status["model"].get("id", ""))})
    found: list[Metric] = [
        up,
        build,
        GaugeMetricFamily("regend_uptime_seconds", "Time since the daemon's start", status["uptime_s"]),
        GaugeMetricFamily("regend_generation", "Generation of the snapshot", status["generation"]),
        GaugeMetricFamily("regend_complete", "Whether everything is indexed", float(status["complete"])),
        GaugeMetricFamily("regend_paused", "Whether the user paused indexing", float(status["paused"])),
        GaugeMetricFamily("regend_held_back", "Reasons that hold indexing back now", len(status["held_back"])),
    ]
    memory = GaugeMetricFamily("regend_resident_memory_bytes", "Memory of the processes", labels=("process",))
    memory.add_metric(("daemon",), status["memory"]["rss_bytes"])
    memory.add_metric(("workers",), status["memory"].get("workers_rss_bytes", 0))
    queues = GaugeMetricFamily("regend_queue_items", "Items that wait in a queue", labels=("queue",))
    for queue, depth in status["queues"].items():
        queues.add_metric((queue,), depth)
    workers = GaugeMetricFamily("regend_workers", "Worker processes", labels=("state",))
    for state in ("idle", "busy", "starting"):
        workers.add_metric((state,), sum(worker["state"] == state for worker in status["workers"]))
    return [
        *found, memory, queues, workers, *_roots(status["roots"]), *_stages(status["stages"]),
        *_counters(status["counters"]), *shared_families(status.get("shared") or {}),
    ]  # fmt: skip


def _roots(roots: Iterable[Mapping[str, Any]]) -> list[Metric]:
    files = GaugeMetricFamily("regend_root_files", "Files of a root that are searchable", labels=("root",))
    skipped = GaugeMetricFamily("regend_root_skipped_files", "Files that are not", labels=("root", "reason"))
    chunks = GaugeMetricFamily("regend_root_chunks", "Live chunks of a root", labels=("root",))
    pending = GaugeMetricFamily("regend_root_pending_paths", "Paths that need work", labels=("root",))
    complete = GaugeMetricFamily("regend_root_complete", "Whether all of a root is indexed", labels=("root",))
    state = GaugeMetricFamily("regend_root_state", "1 for the state that a root is in", labels=("root", "state"))
    for root in roots:
        path = _text(root["path"])
        files.add_metric((path,), root["files_indexed"])
        chunks.add_metric((path,), root["chunks"])
        pending.add_metric((path,), root["pending"])
        complete.add_metric((path,), float(root["complete"]))
        state.add_metric((path, root["state"]), 1)
        for reason, count in root["skipped_by_reason"].items():
            skipped.add_metric((path, reason), count)
    return [files, skipped, chunks, pending, complete, state]


def _stages(stages: Mapping[str, Mapping[str, float]]) -> list[Metric]:
    runs = CounterMetricFamily("regend_stage_runs", "Runs of a stage since the daemon's start", labels=("stage",))
    times = {
        key: GaugeMetricFamily(f"regend_stage_{name}_seconds", doc, labels=("stage",))
        for key, (name, doc) in _STAGE_FIGURES.items()
    }
    for stage, figures in stages.items():
        runs.add_metric((stage,), figures["count"])
        for key, family in times.items():
            family.add_metric((stage,), figures[key] / 1e3)
    return [runs, *times.values()]


def shared_families(shared: Mapping[str, Any]) -> list[Metric]:
    """Return the families of the shared store; none where none is configured."""
    if not shared:
        return []
    gauges = {
        "waiting": GaugeMetricFamily("regend_shared_waiting_chunks", "Chunks of a root to be sent", labels=("root",)),
        "lag_s": GaugeMetricFamily("regend_shared_lag_seconds", "Age of the oldest of them", labels=("root",)),
        "lease_s": GaugeMetricFamily("regend_shared_lease_seconds", "Time left of a tree's lease", labels=("root",)),
        "in_memory": GaugeMetricFamily("regend_shared_vectors_in_memory", "Vectors searched here", labels=("root",)),
    }
    for root in shared["roots"]:
        for key, family in gauges.items():
            if root.get(key) is not None:
                family.add_metric((_text(root["path"]),), root[key])
    up = GaugeMetricFamily("regend_shared_up", "Whether the shared store answered last", float(not shared["error"]))
    counted = {
        "reused": "Vectors that came from the shared store",
        "pushed": "Vectors that the shared store was given and lacked",
        "withheld": "Chunks that look like secrets and were not shared",
        "searched": "Queries that the shared store answered",
        "search_failures": "Queries that it did not answer in time",
    }
    totals = [CounterMetricFamily(f"regend_shared_{name}", doc, shared.get(name, 0)) for name, doc in counted.items()]
    return [up, *gauges.values(), *totals]


def _counters(counters: Mapping[str, int]) -> list[Metric]:
    return [
        GaugeMetricFamily(f"regend_{name}", f"The daemon's {_words(name)} now", value)
        if name in _NOW
        else CounterMetricFamily(f"regend_{name}", f"The daemon's {_words(name)} since its start", value)
        for name, value in counters.items()
    ]


def _words(name: str) -> str:
    return name.replace("_", " ")


def _text(path: str) -> str:
    """Return a path as text; bytes that are not UTF-8 become U+FFFD."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
