"""A daemon's share in a shared store: which roots take part, and the parts that ask and give.

Only the user's configuration names the store and the roots. Texts stay on this machine, and so do texts' hashes and
vectors where a text looks like a secret.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import structlog

from regend.sharing.address import Address
from regend.sharing.base import SharedModel
from regend.sharing.outbox import Outbox
from regend.sharing.pusher import Pusher
from regend.sharing.reach import Reach
from regend.sharing.registry import open_shared
from regend.sharing.reuse import Reuse, SharedCounters, SharedRoot
from regend.store.reads import Reads
from regend.types import RootId

OUTBOX = "outbox.db"
"""File of the state directory."""

log = structlog.get_logger(__name__)


class Sharing:
    """Owns the connection to one shared store; used on the event loop.

    Args:
        pools: real path of each root that shares -> the name that the user gives its pool, or empty.
        repository_name: names the pool of a root by its repository; empty where nothing names it.
        models: the models that serve now.
        is_secret: tells whether a text looks like a secret.

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
    ) -> None:
        self._address = address
        self._pools = pools
        self._reads = reads
        self._repository_name = repository_name
        self._names: dict[RootId, str] = {}
        self._naming = asyncio.Lock()
        self._store = open_shared(address)
        self._outbox = Outbox(state_dir / OUTBOX)
        self._reach = Reach()
        self.counters = SharedCounters()
        self._pusher = Pusher(
            self._store, self._outbox, reads, self._reach, self.counters, self._roots, models, is_secret
        )
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

    async def status(self) -> dict[str, Any]:
        """Return the state of the store and of each root that shares."""
        error, roots = self._reach.error, []
        try:
            roots = [await self._state(root) for root in await self._roots()]
        except sqlite3.Error as failure:
            error = f"The outbox cannot be used: {failure}; check the disk of the state directory."
        unnamed = [record.path for record in self._reads.roots() if self._names.get(record.root) == ""]
        roots += [{"path": path, "pool": "", "waiting": 0, "whole": False, "error": _UNNAMED} for path in unnamed]
        return {"store": self._address.shown, "error": error, **asdict(self.counters), "roots": roots}

    async def _state(self, root: SharedRoot) -> dict[str, Any]:
        refusal, _ = self._reach.refusals.get(root.pool, ("", 0.0))
        tree = await asyncio.to_thread(self._outbox.tree, root.place)
        waiting = await asyncio.to_thread(self._outbox.count, root.place)
        return {"path": root.path, "pool": root.pool, "waiting": waiting, "whole": bool(tree.whole), "error": refusal}

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
                self._names[record.root] = name
                log.info("root_shares", root=record.path, pool=name)
            if name := self._names[record.root]:
                place = f"{self._address.shown} {name} {record.path}"
                found.append(SharedRoot(record.root, record.path, name, place))
        return found


_UNNAMED = "No remote and no first commit names its pool beyond this machine; name it in `shared.pools`."
