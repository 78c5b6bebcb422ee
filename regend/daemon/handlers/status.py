"""`status`: derived from live state at the moment of asking, nothing remembered, nothing rounded in our favour."""

from __future__ import annotations

import os
import time
from collections import Counter

from regend import __version__
from regend.daemon.handlers.embed_status import counter_table, model_table
from regend.daemon.parts import Parts
from regend.daemon.roots import ServedRoot
from regend.rpc.schema import RootStatus, StatusResponse, WorkerStatus


def root_statuses(app: Parts) -> tuple[RootStatus, ...]:
    """All roots, by path."""
    return tuple(root_status(app, served) for served in app.roots.all())


def root_status(app: Parts, served: ServedRoot) -> RootStatus:
    """One root."""
    root = served.record.root
    pipeline, store = app.driver.pipeline, app.indexer.store
    snapshot = store.snapshot
    stats = store.root_stats(root)
    health = app.watcher.health(root)
    pending = pipeline.pending(root)
    state, reason = _state(app, served, pending)
    skipped = Counter[str]()
    for why, count in (stats.skipped_by_reason or {}).items():
        skipped[why.partition(":")[0]] += count  # `quarantined: crashed` counts as `quarantined`.
    return RootStatus(
        path=served.path,
        pool=served.record.pool_key,
        state=state,
        files_indexed=stats.files_indexed,
        files_skipped=stats.files_skipped,
        skipped_by_reason=dict(skipped),
        chunks=stats.chunks,
        pending=pending,
        generation=snapshot.generation,
        complete=not pending and not stats.pending_vectors and state != "gone" and not pipeline.unsure(root),
        watching={"watching": "events", "starting": "starting", "polling": "polling", "lost": "nothing"}[health.state],
        reason=reason,
    )


def _state(app: Parts, served: ServedRoot, pending: int) -> tuple[str, str]:
    """The root's state and, where it is not ``ready``, why."""
    pipeline, root = app.driver.pipeline, served.record.root
    health = app.watcher.health(root)
    if pipeline.is_lost(root):
        return "gone", f"{served.path} is not there; nothing of it was deleted from the index."
    if pipeline.paused:
        return "paused", "Indexing is paused; `regenctl resume` takes it up again."
    if pending:
        scanning = pipeline.queues()["scans"] and not app.indexer.store.root_stats(root).files_indexed
        return ("scanning" if scanning else "indexing"), f"{pending} paths are pending."
    problem = served.problem or served.rules.problem
    if problem:
        return "degraded", problem
    if health.state == "polling":
        return "degraded", f"Changes are found by polling: {health.reason}"
    unsure = pipeline.unsure(root)
    if unsure:
        path, why = next(iter(sorted(unsure.items())))
        return "degraded", f"{len(unsure)} directories cannot be read, such as {path or '.'}: {why}."
    if pipeline.commit_error:
        return "degraded", f"The index cannot be written: {pipeline.commit_error}"
    if pipeline.embed_error:
        return "degraded", f"Vectors are missing: {pipeline.embed_error}"
    return "ready", ""


def is_complete(app: Parts) -> bool:
    """No known change is unread, no chunk lacks its vector, no root is gone."""
    pipeline = app.driver.pipeline
    roots = [served.record.root for served in app.roots.all()]
    unseen = any(pipeline.is_lost(root) or pipeline.unsure(root) for root in roots)
    return app.indexer.store.snapshot.complete and pipeline.is_idle and not unseen


def full_status(app: Parts, own_bytes: int) -> StatusResponse:
    """Everything that `regenctl status` shows. `own_bytes`: resident memory of this process."""
    pipeline = app.driver.pipeline
    roots = root_statuses(app)
    server = app.server.stats()
    workers = app.pool.status()
    return StatusResponse(
        version=__version__,
        pid=os.getpid(),
        uptime_s=round(time.monotonic() - app.started_at, 3),
        model=model_table(app),
        roots=roots,
        queues=pipeline.queues(),
        stages=app.times.summary(),
        workers=tuple(WorkerStatus(w.pid, w.state, w.rss_bytes, w.items) for w in workers),
        memory={"rss_bytes": own_bytes, "workers_rss_bytes": sum(w.rss_bytes for w in workers)},
        counters={
            **counter_table(app),
            "given_up_chunks": pipeline.given_up_chunks,
            "quarantined_files": len(pipeline.quarantined),
            "worker_restarts": app.pool.restarts,
            "inbox_overflows": app.driver.inbox.overflows,
            "watches": sum(app.watcher.health(s.record.root).watches for s in app.roots.all()),
            "requests": server.requests,
            "request_errors": server.errors,
            "connections": server.connections,
            "refused_connections": server.refused_connections,
            "dropped_notifications": server.dropped_notifications,
        },
        generation=app.indexer.store.snapshot.generation,
        complete=is_complete(app),
        paused=pipeline.paused,
        socket=str(app.places.socket),
        state_dir=str(app.places.state_dir),
        held_back=app.governor.held_back,
    )
