"""Answers `status` from live state at the moment of asking; nothing is remembered or rounded in the daemon's favour."""

from __future__ import annotations

import asyncio
import math
import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from regend import __version__
from regend.core.pipeline import Pipeline
from regend.daemon.governor import Governor
from regend.daemon.handlers.embed_status import EmbedStatus
from regend.daemon.inbox import Inbox
from regend.daemon.roots import Roots, ServedRoot
from regend.daemon.telemetry import StageTimes
from regend.errors import count_text
from regend.rpc.connection import Connection
from regend.rpc.operation_messages import Empty, HotFile, RootStatus, StatusResponse, WorkerStatus
from regend.sharing.sharing import Sharing
from regend.store.reads import Reads
from regend.types import FIRST_TRACK
from regend.watch.place import WatchHealth
from regend.watch.watcher import Watcher
from regend.workers.dispatcher import Dispatcher
from regend.workers.rss import rss_bytes

_SHOWN_PATH = 60
"""Maximum characters of a path in a sentence."""
_SHOWN_HOT = 100


@dataclass(frozen=True, slots=True)
class RootStates:
    """Derives the state of roots from the parts that know it; used on the event loop."""

    roots: Roots
    pipeline: Pipeline
    reads: Reads
    watcher: Watcher
    workers: Dispatcher

    def all(self) -> tuple[RootStatus, ...]:
        """Return the status of all roots, sorted by path."""
        return tuple(self.of(served) for served in self.roots.all())

    def of(self, served: ServedRoot) -> RootStatus:
        """Return the status of one root."""
        root = served.record.root
        stats = self.reads.root_stats(root)
        pending = self.pipeline.pending(root)
        state, reason = self._state(served, pending)
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
            generation=self.reads.snapshot.generation,
            complete=not (
                pending or stats.pending_vectors or self.pipeline.is_lost(root) or self.pipeline.unsure(root)
            ),
            watching=_watching(self.watcher.health(root), self.watcher.poll_interval_s),
            reason=reason,
        )

    def is_complete(self) -> bool:
        """Tell whether every known change is read, every chunk has its vector, and every root is there."""
        if self.pipeline.hot_files():
            return False
        roots = [served.record.root for served in self.roots.all()]
        unseen = any(self.pipeline.is_lost(root) or self.pipeline.unsure(root) for root in roots)
        return self.reads.snapshot.complete and self.pipeline.is_idle() and not unseen

    def hot_files(self, now: float) -> tuple[HotFile, ...]:
        """Return the changed files that wait because they change without end, soonest first."""
        waiting = sorted((max(0.0, at - now), *key) for key, at in self.pipeline.hot_files().items())[:_SHOWN_HOT]
        found = ((wait_s, self.roots.get(root), path) for wait_s, root, path in waiting)
        return tuple(HotFile(served.path, path, round(wait_s, 1)) for wait_s, served, path in found if served)

    def spent_files(self, now: float) -> tuple[str, ...]:
        """Say which files wait for vectors because a remote model got as many of their chunks as it may in an hour."""
        waiting = sorted((at, *key) for key, at in self.pipeline.spent_files().items())
        found = [(at, served.path, path) for at, root, path in waiting if (served := self.roots.get(root))]
        if not found:
            return ()
        at, root_path, path = found[0]
        minutes = count_text(max(1, math.ceil((at - now) / 60.0)), "minute")
        return (
            f"{count_text(len(found), 'file waits', 'files wait')} for vectors, such as {path} in {root_path} for "
            f"{minutes}: it reached `embedding.texts_per_file_hour`. Its words are searchable.",
        )

    def _state(self, served: ServedRoot, pending: int) -> tuple[str, str]:
        """Return the root's state and, where it is not ``ready``, the reason."""
        pipeline, root = self.pipeline, served.record.root
        health = self.watcher.health(root)
        if pipeline.is_lost(root) and health.state == "hung":
            return "hung", f"The file system of {served.path} does not answer; its files stay in the index."
        if pipeline.is_lost(root):
            absence = health.reason.rstrip(".") if health.state == "lost" else "it was away a moment ago"
            return "gone", f"{served.path}: {absence}; its files stay in the index."
        if pipeline.paused:
            return "paused", "Indexing is paused; continue it with `regenctl resume`."
        if not self.workers.is_available:
            return "degraded", f"No worker process can be started, so changed files wait: {self.workers.trouble}"
        if pending > sum(hot_root == root for hot_root, _ in pipeline.hot_files()):
            scanning = pipeline.queues()["scans"] and not self.reads.root_stats(root).files_indexed
            why = f" The index cannot be written: {pipeline.commit_error}" if pipeline.commit_error else ""
            waiting = f"{count_text(pending, 'path is', 'paths are')} pending.{why}"
            return ("scanning" if scanning else "indexing"), waiting
        problem = served.problem or served.rules.problem
        if problem:
            return "degraded", problem
        if health.state == "polling":
            return "degraded", f"Changes are found by polling: {health.reason}"
        if health.unwatched:
            path, why = next(iter(sorted(health.unwatched.items())))
            known = (
                f"{count_text(len(health.unwatched), 'directory', 'directories')} cannot be watched but polled, such "
                f"as {_short(path)}: {why}."
            )
            return "degraded", known
        unsure = pipeline.unsure(root)
        if unsure:
            path, why = next(iter(sorted(unsure.items())))
            unread = count_text(len(unsure), "directory", "directories")
            return "degraded", f"{unread} cannot be read, such as {path or '.'}: {why}."
        if pipeline.commit_error:
            return "degraded", f"The index cannot be written: {pipeline.commit_error}"
        if error := pipeline.embed_error(FIRST_TRACK):
            return "degraded", f"Vectors are missing: {error}"
        return "ready", ""


def _watching(health: WatchHealth, interval_s: float) -> str:
    """Say how changes are noticed."""
    polled = {**health.polled, **health.unwatched}
    match health.state:
        case "polling":
            return f"polled every {interval_s:g} s"
        case "watching" if polled:
            return f"events; polled every {interval_s:g} s: {', '.join(map(_short, sorted(polled)))}"
        case "watching":
            return "events"
        case "starting":
            return "starting"
        case "lost" | "hung":
            return "nothing"
        case _ as unreachable:
            assert_never(unreachable)


def _short(path: str) -> str:
    return path if len(path) <= _SHOWN_PATH else f"{path[:_SHOWN_PATH]}…"


@dataclass(frozen=True, slots=True)
class StatusMethod:
    """Answers `status`.

    Attributes:
        started_at: monotonic seconds.
    """

    socket: Path
    state_dir: Path
    started_at: float
    states: RootStates
    embedding: EmbedStatus
    workers: Dispatcher
    inbox: Inbox
    times: StageTimes
    governor: Governor
    server_counters: Callable[[], dict[str, int]]
    http_address: Callable[[], str]
    sharing: Sharing | None = None

    async def status(self, _: Connection, request: Empty) -> StatusResponse:
        """Return everything that `regenctl status` shows."""
        own_bytes = await asyncio.to_thread(rss_bytes)
        states, pipeline, now = self.states, self.states.pipeline, time.monotonic()
        workers = self.workers.status()
        return StatusResponse(
            version=__version__,
            pid=os.getpid(),
            uptime_s=round(now - self.started_at, 3),
            model=self.embedding.models(),
            roots=states.all(),
            queues=pipeline.queues(),
            stages=self.times.summary(),
            workers=tuple(WorkerStatus(w.pid, w.state, w.rss_bytes, w.items) for w in workers),
            memory={"rss_bytes": own_bytes, "workers_rss_bytes": sum(w.rss_bytes for w in workers)},
            counters={
                **self.embedding.counters(),
                "worker_restarts": self.workers.restarts,
                "inbox_overflows": self.inbox.overflows,
                "watches": sum(states.watcher.health(served.record.root).watches for served in states.roots.all()),
                **self.server_counters(),
            },
            generation=states.reads.snapshot.generation,
            complete=states.is_complete(),
            paused=pipeline.paused,
            mode=pipeline.mode,
            socket=str(self.socket),
            state_dir=str(self.state_dir),
            held_back=(*self.governor.held_back, *_without_workers(self.workers), *states.spent_files(now)),
            http=self.http_address(),
            hot_files=states.hot_files(now),
            shared={} if self.sharing is None else await self.sharing.status(),
        )


def _without_workers(workers: Dispatcher) -> tuple[str, ...]:
    """Return a sentence on workers that cannot be started, or can read nothing."""
    if not (cause := workers.trouble):
        return ()
    again = "the daemon tries again by itself; after an upgrade of Python or of regend, start the daemon again."
    if not workers.is_available:
        return (f"No worker process can be started, so changed files wait ({cause}); {again}",)
    return (f"Files wait, or take longer, for want of what workers need ({cause}); {again}",)
