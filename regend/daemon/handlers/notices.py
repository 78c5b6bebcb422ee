"""Notifies subscribers: of each commit, of progress a few times a second, of each change of state once."""

from __future__ import annotations

import asyncio

from regend.core import commands as cmd
from regend.core import events as ev
from regend.daemon.handlers.status import RootStates
from regend.rpc.operation_messages import IndexEvent, ProgressEvent, StateEvent
from regend.rpc.server import RpcServer
from regend.types import RootId

PROGRESS_INTERVAL_S = 0.25
MAX_PATHS = 100


class Notices:
    """Publishes notifications; owned by the event loop."""

    def __init__(self, server: RpcServer, states: RootStates) -> None:
        self._server = server
        self._roots = states
        self._states: dict[str, str] = {}
        self._timer: asyncio.TimerHandle | None = None

    def committed(self, commit: cmd.Commit, done: ev.Committed) -> None:
        """Publish which paths of which root a commit has changed."""
        changed: dict[RootId, list[str]] = {}
        for op in commit.ops:
            if not isinstance(op, cmd.PutVectors | cmd.TouchFile):
                changed.setdefault(op.root, []).append(op.path)
        complete = self._roots.reads.snapshot.complete
        for root, paths in changed.items():
            served = self._roots.roots.get(root)
            if served is not None:
                more = max(0, len(paths) - MAX_PATHS)
                self._server.publish(
                    "index", IndexEvent(served.path, done.generation, complete, tuple(paths[:MAX_PATHS]), more)
                )

    def changed(self) -> None:
        """Publish progress soon, once for all changes until then."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(PROGRESS_INTERVAL_S, self._publish)

    def _publish(self) -> None:
        self._timer = None
        seen = {}
        for root in self._roots.all():
            seen[root.path] = root.state
            self._server.publish(
                "progress",
                ProgressEvent(root.path, root.state, root.files_indexed, root.pending, root.generation, root.complete),
            )
            if self._states.get(root.path) != root.state:
                self._server.publish("state", StateEvent(root.path, root.state, root.reason))
        for path in self._states.keys() - seen.keys():
            self._server.publish("state", StateEvent(path, "removed", ""))
        self._states = seen
