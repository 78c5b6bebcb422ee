"""Gives a shared store what it lacks, in the background: vectors, which tree has them, and leases.

A tree is brought into line with the index; the outbox only says sooner what is new. So whatever was lost, here or
there, the comparison of the whole tree finds it.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence, Set
from dataclasses import dataclass

import numpy as np
import structlog

from regend.errors import SharedStoreAwayError, SharedStoreError
from regend.sharing.base import LEASE_S, HalfMatrix, SharedModel, SharedStore, TreeChange
from regend.sharing.outbox import Outbox, SentTree, Waiting
from regend.sharing.reach import LONGEST_PAUSE_S, Reach
from regend.sharing.reuse import SharedCounters, SharedRoot
from regend.store.reads import Reads
from regend.types import ChunkId

LINGER_S = 0.5
"""How long chunks wait for others of the same burst."""
COMPARE_INTERVAL_S = 600.0
"""Minimum time between two comparisons of a whole tree that changed without new vectors: a file deleted, a branch
switched. It costs 0.5 s for 100,000 chunks."""
RENEW_INTERVAL_S = 3_600.0
AT_ONCE = 2_000
"""Chunks of one step."""
FORGET_AFTER_S = 120.0
"""A chunk that has waited this long without a vector is not going to get one, or will be noted again."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Tree:
    """When a tree was last looked after; monotonic seconds."""

    compared_at: float = -COMPARE_INTERVAL_S
    renewed_at: float = -RENEW_INTERVAL_S
    leased_at: float | None = None
    losses: int = -1


class Pusher:
    """Owns the trees' upkeep; runs on the event loop until it is cancelled.

    Args:
        roots: the roots that share, now.
        models: the models whose vectors are shared, now.
        confirmed: called with what the outbox calls a root, after the store confirmed chunks of it.
    """

    def __init__(
        self,
        store: SharedStore,
        outbox: Outbox,
        reads: Reads,
        reach: Reach,
        counters: SharedCounters,
        roots: Callable[[], Awaitable[Sequence[SharedRoot]]],
        models: Callable[[], Sequence[SharedModel]],
        is_secret: Callable[[str], bool],
        confirmed: Callable[[str], None] = lambda _place: None,
    ) -> None:
        self._store = store
        self._outbox = outbox
        self._reads = reads
        self._reach = reach
        self._counters = counters
        self._roots = roots
        self._models = models
        self._is_secret = is_secret
        self._confirmed = confirmed
        self._woken = asyncio.Event()
        self._trees: dict[str, _Tree] = {}

    def wake(self) -> None:
        """Say that there may be something to send."""
        self._woken.set()

    def lease_left_s(self, place: str, now: float) -> float | None:
        """Return the seconds for which the tree's lease still runs; None before the store's first answer."""
        own = self._trees.get(place)
        return None if own is None or own.leased_at is None else round(own.leased_at + LEASE_S - now)

    async def run(self) -> None:
        """Send until cancelled; failures of the store are shown in `status` and tried again."""
        while True:
            self._woken.clear()
            try:
                more = [await self._try(root) for root in await self._roots()]
            except Exception:  # The disk, mostly; the daemon goes on without sharing.
                log.exception("push_failed")
                more = []
            if not any(more):
                await self._wait(LONGEST_PAUSE_S)

    async def _try(self, root: SharedRoot) -> bool:
        """Look after a root unless the store is to be left alone; return whether more may be left."""
        try:
            return self._reach.may_ask(root.pool, time.monotonic()) and await self._look_after(root)
        except SharedStoreAwayError as error:
            self._reach.failed(str(error), time.monotonic())
        except SharedStoreError as error:
            self._reach.refused(root.pool, str(error), time.monotonic())
        return False

    async def _wait(self, timeout_s: float) -> None:
        if pause_s := self._reach.pause_left_s(time.monotonic()):
            await asyncio.sleep(pause_s)
            return
        try:
            async with asyncio.timeout(timeout_s):
                await self._woken.wait()
        except TimeoutError:
            return
        await asyncio.sleep(LINGER_S)

    async def _look_after(self, root: SharedRoot) -> bool:
        """Carry out one step for a root; return whether more may be left."""
        now = time.monotonic()
        own = self._trees.setdefault(root.place, _Tree())
        sent = await asyncio.to_thread(self._outbox.tree, root.place)
        if own.losses != self._reach.losses or now - own.renewed_at >= RENEW_INTERVAL_S:
            # A store that was away may have come back without our last changes.
            revision = await self._store.renew(root.pool, sent.tree)
            self._reach.answered(root.pool)
            own.losses, own.renewed_at = self._reach.losses, now
            own.leased_at = now if revision else None
            if revision != sent.revision:
                await asyncio.to_thread(self._outbox.mark_whole, root.place)
                return True
        generation = self._reads.snapshot.generation
        changed = sent.generation != generation and now - own.compared_at >= COMPARE_INTERVAL_S
        if sent.whole or changed:
            own.compared_at = now
            await self._push_whole(root, sent, generation)
            return True
        taken = await asyncio.to_thread(self._outbox.take, root.place, AT_ONCE)
        return bool(taken) and await self._push(root, sent, taken)

    async def _push(self, root: SharedRoot, sent: SentTree, taken: list[Waiting]) -> bool:
        """Send what waits; return whether anything went."""
        gone: list[tuple[SharedModel, list[ChunkId]]] = []
        named = set[ChunkId]()
        forget_before = time.time() - FORGET_AFTER_S
        for waiting in taken:
            lacking = await self._put(root.pool, waiting.model, list(waiting.chunks))
            named |= waiting.chunks.keys() - lacking
            # The vectors of the others are on their way into the index.
            done = [c for c, noted_utc in waiting.chunks.items() if c not in lacking or noted_utc < forget_before]
            gone.append((waiting.model, done))
        if not any(done for _, done in gone):
            return False
        revision = secrets.token_hex(16)
        if named:
            done_tree = await self._store.commit_tree(
                root.pool, TreeChange(sent.tree, sent.revision, revision, frozenset(named))
            )
            if not done_tree.done or done_tree.missing:
                await asyncio.to_thread(self._outbox.mark_whole, root.place)
                return True
        else:
            revision = sent.revision
        await asyncio.to_thread(self._outbox.done, root.place, gone, named, revision)
        self._settled(root)
        return True

    async def _push_whole(self, root: SharedRoot, sent: SentTree, generation: int) -> None:
        """Compare the whole tree with the store, and send what it lacks."""
        started_at = time.monotonic()
        known = await asyncio.to_thread(self._outbox.sent, root.place)
        named = set[ChunkId]()
        for model in self._models():
            chunks = await asyncio.to_thread(self._reads.embedded_chunks, root.root, model.model_id, model.dim)
            ordered = sorted(chunks)
            for start in range(0, len(ordered), AT_ONCE):
                part = ordered[start : start + AT_ONCE]
                named |= set(part) - await self._put(root.pool, model, part, known)
        revision = sent.revision
        if named != known or sent.whole or not revision:
            revision = secrets.token_hex(16)
            change = TreeChange(sent.tree, "", revision, frozenset(named))
            missing = (await self._store.commit_tree(root.pool, change)).missing
            if missing:  # They were swept in between: the next comparison puts them again.
                await asyncio.to_thread(self._outbox.mark_whole, root.place)
                named -= missing
        await asyncio.to_thread(self._outbox.done_whole, root.place, named, revision, generation, sent.whole)
        self._settled(root)
        took_s = round(time.monotonic() - started_at, 2)
        log.info("tree_shared", root=root.path, pool=root.pool, chunks=len(named), took_s=took_s)

    def _settled(self, root: SharedRoot) -> None:
        """Note that the store confirmed a change of the tree, which renews its lease."""
        self._trees[root.place].leased_at = time.monotonic()
        self._confirmed(root.place)

    async def _put(
        self, pool: str, model: SharedModel, chunks: Sequence[ChunkId], sent: Set[ChunkId] = frozenset()
    ) -> set[ChunkId]:
        """Put what the pool lacks; return the chunks that it still lacks, because they have no vector or a secret.

        Args:
            sent: chunks that were sent before, so that they need not be searched for secrets again.
        """
        harmless = await asyncio.to_thread(self._harmless, chunks, sent)
        if not harmless:
            return set(chunks)
        known = await self._store.known(pool, model, harmless)
        unknown = [chunk for chunk in harmless if chunk not in known]
        ready, vectors = await asyncio.to_thread(self._vectors, model, unknown)
        if ready:
            self._counters.pushed += await self._store.put(pool, model, ready, vectors)
        self._reach.answered(pool)
        return set(chunks) - known - set(ready)

    def _harmless(self, chunks: Sequence[ChunkId], sent: Set[ChunkId]) -> list[ChunkId]:
        """Return those of `chunks` that do not look like secrets: even a hash can be compared with a guess."""
        asked = [chunk for chunk in chunks if chunk not in sent]
        texts = zip(asked, self._reads.texts(asked), strict=True)
        withheld = {chunk for chunk, text in texts if not text or self._is_secret(text)}
        return [chunk for chunk in chunks if chunk not in withheld]

    def _vectors(self, model: SharedModel, chunks: Sequence[ChunkId]) -> tuple[list[ChunkId], HalfMatrix]:
        """Read the vectors of those chunks that have one."""
        rows = dict(self._reads.vectors(chunks, model.model_id, model.dim))
        ready = sorted(rows)
        raw = np.frombuffer(b"".join(rows[chunk] for chunk in ready), "<f2")
        return ready, raw.reshape(len(ready), model.dim).astype(np.float16)
