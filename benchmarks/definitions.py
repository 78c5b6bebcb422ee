"""Exact names: does a query that is just the name of a definition bring that definition first?"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from benchmarks.annotations import Repository
from benchmarks.daemons import PrivateDaemon
from regend.rpc.client import Client
from regend.store.base import Snapshot

_NAME = re.compile(r"[^\W\d]\w{2,}[!?]?")
_NOT_CODE = frozenset({"section", "key", "element", "rule"})


class Named(NamedTuple):
    """A definition whose name no other definition of its repository has."""

    directory: str
    name: str
    path: str
    line: int


def sampled(snapshot: Snapshot, repositories: Sequence[Repository], count: int, seed: int = 1) -> list[Named]:
    """Draw `count` definitions with unique names evenly from the repositories; fewer where there are not so many."""
    rng = random.Random(seed)
    shares: list[list[Named]] = []
    for repository in repositories:
        directory = str(repository.directory)
        root = next(record for record in snapshot.roots.values() if record.path == directory)
        entries = sorted(snapshot.pools[root.pool].entries.values(), key=lambda entry: entry.path)
        views = [(entry.path, view) for entry in entries for view in snapshot.outline(entry)]
        times = Counter(view.name for _, view in views)
        unique = [
            Named(directory, view.name, path, view.start_line)
            for path, view in views
            if times[view.name] == 1 and view.kind not in _NOT_CODE and _NAME.fullmatch(view.name)
        ]
        rng.shuffle(unique)
        shares.append(unique)
    found: list[Named] = []
    turn = 0
    while len(found) < count and any(len(share) > turn for share in shares):
        found += [share[turn] for share in shares if len(share) > turn]
        turn += 1
    return found[:count]


def missed(daemon: PrivateDaemon, asked: Sequence[Named]) -> list[Named]:
    """Return the names whose first result is not the chunk that holds the definition."""
    wrong = []
    with Client(daemon.socket) as client:
        for named in asked:
            results = client.call("search", query=named.name, k=1, root=named.directory)["results"]
            if not any(r["path"] == named.path and r["start_line"] <= named.line <= r["end_line"] for r in results):
                wrong.append(named)
    return wrong
