"""What embedding does, for `status` and for the line in the log at the end of a bulk index. Nothing is remembered but
what the last line said.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import asdict
from typing import Any

import structlog

from regend.core.batcher import BatchStats
from regend.core.pipeline import Pipeline
from regend.daemon.embedder import Embedder
from regend.daemon.parts import Parts
from regend.types import Lane, Tier

REPORT_CHUNKS = 256
"""Fewer chunks than this are no bulk index and get no line."""
SHOWN_REFUSALS = 20

log = structlog.get_logger(__name__)


def model_table(app: Parts) -> dict[str, Any]:
    """The model that serves, what its provider did, and how far the stronger one is."""
    pipeline, info = app.driver.pipeline, app.provider.info
    table: dict[str, Any] = {"id": info.model_id, "dim": info.dim, "local": info.local, "note": info.note}
    if error := pipeline.embed_error(Tier.FIRST):
        table["error"] = error
    table |= {"provider": app.provider.status(), **_tier_table(pipeline, Tier.FIRST)}
    if app.upgrader is not None:
        state = app.indexer.reads.snapshot.upgrade
        table["upgrade"] = app.upgrader.status(state, pipeline.embed_error(Tier.UPGRADE)) | {
            "provider": app.upgrader.provider.status(),
            **_tier_table(pipeline, Tier.UPGRADE),
        }
    return table


def _tier_table(pipeline: Pipeline, tier: Tier) -> dict[str, Any]:
    """How its batches were, and the first chunks that it refused, each with the reason."""
    refused = [{"chunk": chunk.hex(), "reason": reason} for chunk, reason in pipeline.given_up(tier).items()]
    table: dict[str, Any] = {"batches": _batches(pipeline.batch_stats(tier))}
    return table | ({"refused_chunks": len(refused), "refused": refused[:SHOWN_REFUSALS]} if refused else {})


def counter_table(app: Parts) -> dict[str, int]:
    """Totals since the start, of both models together."""
    totals: Counter[str] = Counter()
    queries = [app.query_vectors.counters]
    for embedder in _embedders(app).values():
        totals.update(asdict(embedder.counters))
    if app.upgrader is not None:
        queries.append(app.upgrader.query_vectors.counters)
    return {
        "embedded_chunks": int(totals["embedded_chunks"]),
        "embed_requests": int(totals["requests"]),
        "embed_tokens": int(totals["tokens"]),
        "embed_failures": int(totals["failures"]),
        "embed_splits": int(totals["splits"]),
        "embed_retries": int(totals["retries"]),
        "embed_withheld": int(totals["withheld"]),
        "query_embed_requests": sum(counters.requests for counters in queries),
        "query_embed_failures": sum(counters.failures for counters in queries),
    }


def _embedders(app: Parts) -> dict[Tier, Embedder]:
    found = {Tier.FIRST: app.embedder}
    if app.upgrader is not None:
        found[Tier.UPGRADE] = app.upgrader.embedder
    return found


def _batches(stats: dict[Lane, BatchStats]) -> dict[str, dict[str, float]]:
    """By lane: batches, their average size and fill, and why they were closed."""
    return {
        lane.name.lower(): {
            "batches": own.batches,
            "average_items": round(own.items / own.batches, 2),
            "average_fill": round(own.fill / own.batches, 3),
            **{f"closed_by_{reason}": count for reason, count in sorted(own.reasons.items())},
        }
        for lane, own in stats.items()
        if own.batches
    }


class EmbedReport:
    """Logs one line when a bulk index has come to its end; owned by the event loop."""

    def __init__(self, app: Parts) -> None:
        self._app = app
        self._before: dict[Tier, dict[str, float]] = {}
        self._busy_since: dict[Tier, float] = {}

    def changed(self) -> None:
        """Something happened in the pipeline."""
        pipeline = self._app.driver.pipeline
        for tier, embedder in _embedders(self._app).items():
            at_rest = pipeline.is_idle if tier is Tier.FIRST else pipeline.is_at_rest
            if not at_rest:
                self._busy_since.setdefault(tier, time.monotonic())
            elif tier in self._busy_since:
                self._report(tier, embedder, time.monotonic() - self._busy_since.pop(tier))

    def _report(self, tier: Tier, embedder: Embedder, took_s: float) -> None:
        now = self._figures(tier, embedder)
        before = self._before.get(tier, {})
        new = {name: value - before.get(name, 0) for name, value in now.items()}
        if new["chunks"] < REPORT_CHUNKS:
            return
        self._before[tier] = now
        batches = max(1.0, new.pop("batches"))
        items, fill = new.pop("batch_items"), new.pop("batch_fill")
        log.info(
            "bulk_embedded",
            model=self._provider(tier).info.model_id,
            took_s=round(took_s, 2),
            average_batch=round(items / batches, 1),
            average_fill=round(fill / batches, 3),
            breakers=[server["breaker"] for server in self._provider(tier).status().get("servers", ())],
            **{name: round(value, 2) for name, value in new.items()},
        )

    def _provider(self, tier: Tier) -> Any:
        upgrader = self._app.upgrader
        return self._app.provider if tier is Tier.FIRST or upgrader is None else upgrader.provider

    def _figures(self, tier: Tier, embedder: Embedder) -> dict[str, float]:
        counters, status = embedder.counters, self._provider(tier).status()
        stats = self._app.driver.pipeline.batch_stats(tier).values()
        return {
            "chunks": counters.embedded_chunks,
            "requests": counters.requests,
            "tokens": counters.tokens,
            "splits": counters.splits,
            "failures": counters.failures,
            "request_s": counters.request_s,
            "retries": counters.retries + status.get("retries", 0),
            "rate_limited": status.get("rate_limited", 0),
            "halvings": status.get("halvings", 0),
            "linger_closed": sum(own.reasons["linger"] for own in stats),
            "batches": sum(own.batches for own in stats),
            "batch_items": sum(own.items for own in stats),
            "batch_fill": sum(own.fill for own in stats),
        }
