"""Reports on embedding: for `status`, and as one line in the log at the end of a bulk index. It remembers only the
figures of the last line.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import structlog

from regend.core.batcher import BatchStats
from regend.core.pipeline import Pipeline
from regend.daemon.models import ServedModel
from regend.store.reads import Reads
from regend.types import Lane, Track

REPORT_CHUNKS = 256
"""Minimum chunks of a bulk index; fewer get no line in the log."""
SHOWN_REFUSALS = 20
_EMBED_TOTALS = ("requests", "tokens", "failures", "splits", "retries", "withheld")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class EmbedStatus:
    """The models at the moment of asking, by track."""

    pipeline: Pipeline
    reads: Reads
    served: Sequence[ServedModel]

    def models(self) -> dict[str, Any]:
        """Return the first model with its provider's figures, and the stronger one with these and its progress."""
        first, *stronger = (self._figures(model) for model in self.served)
        for table in stronger:
            first["upgrade"] = table
        for table, state in zip(stronger, self.reads.snapshot.tracks[1:], strict=False):
            table |= {
                "pools_served": len(state.serving),
                "chunks_lacking": state.lacking,
                "chunks_forgone": state.forgone,
            }
        return first

    def _figures(self, model: ServedModel) -> dict[str, Any]:
        """Return figures of a model and its batches, and the first chunks that it refused, each with the reason."""
        info, pipeline, track = model.provider.info, self.pipeline, model.track
        table: dict[str, Any] = {"id": info.model_id, "dim": info.dim, "local": info.local, "note": info.note}
        if error := model.error or pipeline.embed_error(track):
            table["error"] = error
        table |= {"provider": model.provider.status(), "batches": _batches(pipeline.batch_stats(track))}
        refused = [{"chunk": chunk.hex(), "reason": reason} for chunk, reason in pipeline.given_up(track).items()]
        return table | ({"refused_chunks": len(refused), "refused": refused[:SHOWN_REFUSALS]} if refused else {})

    def counters(self) -> dict[str, int]:
        """Return totals of all models since the start."""
        totals: Counter[str] = Counter()
        for model in self.served:
            totals.update(asdict(model.embedder.counters))
        return {
            "embedded_chunks": int(totals["embedded_chunks"]),
            **{f"embed_{name}": int(totals[name]) for name in _EMBED_TOTALS},
            "query_embed_requests": sum(model.query_vectors.counters.requests for model in self.served),
            "query_embed_failures": sum(model.query_vectors.counters.failures for model in self.served),
        }


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

    def __init__(self, pipeline: Pipeline, models: Sequence[ServedModel]) -> None:
        self._pipeline = pipeline
        self._models = models
        self._before: dict[Track, dict[str, float]] = {}
        self._busy_since: dict[Track, float] = {}

    def changed(self) -> None:
        """Note that something happened in the pipeline."""
        for model in self._models:
            if not self._pipeline.is_idle(model.track):
                self._busy_since.setdefault(model.track, time.monotonic())
            elif model.track in self._busy_since:
                self._report(model, time.monotonic() - self._busy_since.pop(model.track))

    def _report(self, model: ServedModel, took_s: float) -> None:
        track, provider = model.track, model.provider
        now = self._figures(model)
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

    def _figures(self, model: ServedModel) -> dict[str, float]:
        counters, status = model.embedder.counters, model.provider.status()
        stats = self._pipeline.batch_stats(model.track).values()
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
