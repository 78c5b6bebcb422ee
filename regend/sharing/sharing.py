"""A daemon's share in a shared store: which roots take part, and the parts that ask and give.

Only the user's configuration names the store and the roots. Texts stay on this machine, and so do texts' hashes and
vectors where a text looks like a secret.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import structlog

from regend.sharing.address import Address
from regend.sharing.base import FloatVector, SharedModel
from regend.sharing.outbox import Outbox
from regend.sharing.patience import Patience
from regend.sharing.pusher import Pusher
from regend.sharing.reach import Reach
from regend.sharing.registry import open_shared
from regend.sharing.reuse import Reuse, SharedCounters, SharedRoot
from regend.sharing.searched import Searched
from regend.store.reads import Reads
from regend.types import ChunkId, RootId

LONGEST_SEARCH_PAUSE_S = 5.0
"""How long queries leave a store alone that failed them."""
OUTBOX = "outbox.db"
"""File of the state directory."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Nearest:
    """Answer of a store to a query.

    Attributes:
        chunks: best first.
        problem: why there is no answer; empty where there is one.
    """

    chunks: tuple[ChunkId, ...]
    problem: str


class Sharing:
    """Owns the connection to one shared store; used on the event loop.

    Args:
        pools: real path of each root that shares -> the name that the user gives its pool, or empty.
        repository_name: names the pool of a root by its repository; empty where nothing names it.
        models: the models that serve now.
        is_secret: tells whether a text looks like a secret.
        searched: the roots that the store searches by meaning.
        replica: of the store, for reads.

    Raises:
        SharedStoreError: a package is missing.
    """

    def __init__(
        self,
        address: Address,
        pools: Mapping[str, str],
        timeout_s: float,
        state_dir: Path,
        reads: Reads,
        repository_name: Callable[[str], Awaitable[str]],
        models: Callable[[], Sequence[SharedModel]],
        is_secret: Callable[[str], bool],
        searched: Searched,
        search_timeout_s: float,
        replica: Address | None = None,
    ) -> None:
        self._address = address
        self._searched = searched
        self._search_timeout_s = search_timeout_s
        self._pools = pools
        self._reads = reads
        self._repository_name = repository_name
        self._names: dict[RootId, str] = {}
        self._naming = asyncio.Lock()
        self._store = open_shared(address, replica)
        self._outbox = Outbox(state_dir / OUTBOX)
        self._reach = Reach()
        # A query waits for less time than a batch, so what one of them meets says little of the other.
        self._search = Patience(Reach(LONGEST_SEARCH_PAUSE_S))
        self.counters = SharedCounters()
        self._pusher = Pusher(
            self._store, self._outbox, reads, self._reach, self.counters, self._roots, models, is_secret,
            searched.changed,
        )  # fmt: skip
        self.reuse = Reuse(
            self._store, self._outbox, reads, self._reach, self.counters, timeout_s,
            lambda path: path in pools, self._roots, is_secret,
            self._pusher.wake,
        )  # fmt: skip

    async def run(self) -> None:
        """Give the store what it lacks until cancelled."""
        await self._pusher.run()

    def wake(self) -> None:
        """Say that vectors were committed."""
        self._pusher.wake()

    async def close(self) -> None:
        await self._store.close()
        self._outbox.close()

    async def nearest(self, paths: Sequence[str], model: SharedModel, vector: FloatVector, limit: int) -> Nearest:
        """Find the chunks of roots that are nearest to a query, by the deadline of queries."""
        trees: dict[str, dict[str, str]] = {}
        pools = {root.path: root.pool for root in await self._roots()}
        for path in paths:
            tree, revision = self._searched.tree(path)
            if path not in pools:
                return Nearest((), f"{path} has no pool.")
            if revision:  # Else nothing of it was sent, and all of it is searched here.
                trees.setdefault(pools[path], {})[tree] = revision
        found: list[ChunkId] = []
        for pool, own in trees.items():  # One, unless the user gave worktrees names of their own.
            near = None
            if self._search.reach.may_ask(pool, time.monotonic()):
                asked = self._store.nearest(pool, model, vector, limit, own)
                near = await self._search.wait_for(pool, asked, self._search_timeout_s)
            self.counters.searched += near is not None
            self.counters.search_failures += near is None
            if near is None:
                reason, _ = self._search.reach.refusals.get(pool, (self._search.reach.error, 0.0))
                return Nearest((), reason)
            found += [one.chunk for one in near]
        return Nearest(tuple(found), "")

    async def status(self) -> dict[str, Any]:
        """Return the state of the store and of each root that shares."""
        error, roots = self._reach.error, []
        try:
            roots = [await self._state(root) for root in await self._roots()]
        except sqlite3.Error as failure:
            error = f"The outbox cannot be used: {failure}; check the disk of the state directory."
        unnamed = [record.path for record in self._reads.roots() if self._names.get(record.root) == ""]
        roots += [{**_NOTHING, "path": path, "error": _UNNAMED} for path in unnamed]
        search = "" if error else self._search.reach.error
        return {
            "store": self._address.shown, "error": error, "search_error": search, **asdict(self.counters),
            "roots": roots,
        }  # fmt: skip

    async def _state(self, root: SharedRoot) -> dict[str, Any]:
        refusal, _ = self._reach.refusals.get(root.pool, ("", 0.0))
        tree = await asyncio.to_thread(self._outbox.tree, root.place)
        waiting, since_utc = await asyncio.to_thread(self._outbox.backlog, root.place)
        slab = self._reads.snapshot.slab_of(root.root)
        search = "here"
        if self._searched.has(root.path):
            search = "store" if slab is not None and slab.on_disk else "comparing"
        return {
            "path": root.path,
            "pool": root.pool,
            "waiting": waiting,
            "whole": bool(tree.whole),
            "lag_s": round(max(0.0, time.time() - since_utc), 1) if waiting else 0.0,
            "lease_s": self._pusher.lease_left_s(root.place, time.monotonic()),
            "search": search,
            "in_memory": 0 if slab is None else slab.count - slab.dead_count,
            "error": refusal,
        }

    async def _roots(self) -> list[SharedRoot]:
        """Return the served roots that share and have a pool."""
        found: list[SharedRoot] = []
        for record in self._reads.roots():
            given = self._pools.get(record.path)
            if given is None:
                continue
            if record.root not in self._names:
                async with self._naming:
                    name = given or await self._repository_name(record.path)
                place = f"{self._address.shown} {name} {record.path}"
                if name:
                    await asyncio.to_thread(self._outbox.tree, place)
                    self._searched.attach(self._outbox, record.path, place)
                self._names[record.root] = name
                log.info("root_shares", root=record.path, pool=name)
            if name := self._names[record.root]:
                place = f"{self._address.shown} {name} {record.path}"
                found.append(SharedRoot(record.root, record.path, name, place))
        return found


_NOTHING = {
    "path": "", "pool": "", "waiting": 0, "whole": False, "lag_s": 0.0, "lease_s": None, "search": "here",
    "in_memory": 0, "error": "",
}  # fmt: skip
"""State of a root without a pool."""
_UNNAMED = "No remote and no first commit names its pool beyond this machine; name it in `shared.pools`."
