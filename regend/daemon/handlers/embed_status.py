"""Reports on embedding: for `status`, and as one line in the log at the end of a bulk index. It remembers only the
figures of the last line.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import structlog

from regend.core.batcher import BatchStats
from regend.core.pipeline import Pipeline
from regend.daemon.models import ServedModel
from regend.daemon.upgrader import Upgrader
from regend.store.reads import Reads
from regend.types import FIRST_TRACK, Lane, Track

REPORT_CHUNKS = 256
"""Minimum chunks of a bulk index; fewer get no line in the log."""
SHOWN_REFUSALS = 20
_EMBED_TOTALS = ("requests", "tokens", "failures", "splits", "retries", "withheld")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class EmbedStatus:
    """The models at the moment of asking.

    Attributes:
        upgrader: offers the stronger model; None where none is configured.
    """

    pipeline: Pipeline
    reads: Reads
    first: ServedModel
    upgrader: Upgrader | None

    def models(self) -> dict[str, Any]:
        """Return the serving model, its provider's figures, and the progress of the stronger model."""
        table = _identity(self.first)
        if error := self.pipeline.embed_error(FIRST_TRACK):
            table["error"] = error
        table |= _work(self.pipeline, self.first, FIRST_TRACK)
        if self.upgrader is not None:
            table["upgrade"] = self._upgrade(self.upgrader)
        return table

    def _upgrade(self, upgrader: Upgrader) -> dict[str, Any]:
        table = _identity(upgrader.model)
        for state in self.reads.snapshot.tracks[1:]:
            table |= {
                "pools_served": len(state.serving),
                "chunks_lacking": state.lacking,
                "chunks_forgone": state.forgone,
            }
        if error := upgrader.error or self.pipeline.embed_error(Track(1)):
            table["error"] = error
        return table | _work(self.pipeline, upgrader.model, Track(1))

    def counters(self) -> dict[str, int]:
        """Return totals of both models since the start."""
        models = [self.first, *([self.upgrader.model] if self.upgrader else [])]
        totals: Counter[str] = Counter()
        for model in models:
            totals.update(asdict(model.embedder.counters))
        return {
            "embedded_chunks": int(totals["embedded_chunks"]),
            **{f"embed_{name}": int(totals[name]) for name in _EMBED_TOTALS},
            "query_embed_requests": sum(model.query_vectors.counters.requests for model in models),
            "query_embed_failures": sum(model.query_vectors.counters.failures for model in models),
        }


def _identity(model: ServedModel) -> dict[str, Any]:
    info = model.provider.info
    return {"id": info.model_id, "dim": info.dim, "local": info.local, "note": info.note}


def _work(pipeline: Pipeline, model: ServedModel, track: Track) -> dict[str, Any]:
    """Return figures of a model's provider and batches, and the first chunks that it refused, each with the reason."""
    refused = [{"chunk": chunk.hex(), "reason": reason} for chunk, reason in pipeline.given_up(track).items()]
    table = {"provider": model.provider.status(), "batches": _batches(pipeline.batch_stats(track))}
    return table | ({"refused_chunks": len(refused), "refused": refused[:SHOWN_REFUSALS]} if refused else {})


def _batches(stats: dict[Lane, BatchStats]) -> dict[str, dict[str, float]]:
    """Return by lane the number of batches, their average size and fill, and why they were closed."""
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
    """Logs one line when a bulk index ends; owned by the event loop."""

    def __init__(self, pipeline: Pipeline, models: Mapping[Track, ServedModel]) -> None:
        self._pipeline = pipeline
        self._models = models
        self._before: dict[Track, dict[str, float]] = {}
        self._busy_since: dict[Track, float] = {}

    def changed(self) -> None:
        """Note that something happened in the pipeline."""
        for track in self._models:
            if not self._pipeline.is_idle(track):
                self._busy_since.setdefault(track, time.monotonic())
            elif track in self._busy_since:
                self._report(track, time.monotonic() - self._busy_since.pop(track))

    def _report(self, track: Track, took_s: float) -> None:
        provider = self._models[track].provider
        now = self._figures(track)
        before = self._before.get(track, {})
        new = {name: value - before.get(name, 0) for name, value in now.items()}
        if new["chunks"] < REPORT_CHUNKS:
            return
        self._before[track] = now
        batches = max(1.0, new.pop("batches"))
        items, fill = new.pop("batch_items"), new.pop("batch_fill")
        log.info(
            "bulk_embedded",
            model=provider.info.model_id,
            took_s=round(took_s, 2),
            average_batch=round(items / batches, 1),
            average_fill=round(fill / batches, 3),
            breakers=[server["breaker"] for server in provider.status().get("servers", ())],
            **{name: round(value, 2) for name, value in new.items()},
        )

    def _figures(self, track: Track) -> dict[str, float]:
        model = self._models[track]
        counters, status = model.embedder.counters, model.provider.status()
        stats = self._pipeline.batch_stats(track).values()
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
