"""A scripted life of a store, and what may be found on disk when it was cut short.

Every step is tried, and once more after an error, as the daemon does. A log outside the state directory says which
steps began and how they ended; from that alone `candidates` works out which states are right.
"""

from __future__ import annotations

import copy
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from regend.core.commands import Commit, Op
from regend.errors import RegendError
from regend.store.store import Store, open_store
from regend.types import RootId
from tests.store.damage import ROOTS, big
from tests.store.oracle import FILES, PATHS, Oracle, check, random_op
from tests.store.samples import MODEL, put, put_vectors

EXPECTED = (RegendError, sqlite3.Error, OSError)
THIRD = RootId(3)
_JOBS_LIMIT_S = 20.0


@dataclass(frozen=True)
class Step:
    """Something done to a store, and what it means for the oracle."""

    name: str
    do: Callable[[Store], object]
    follow: Callable[[Oracle], None] = lambda _oracle: None


def commit(ops: list[Op]) -> Step:
    def follow(oracle: Oracle) -> None:
        for op in ops:
            if getattr(op, "root", THIRD) in oracle.trees or not hasattr(op, "root"):
                oracle.do(op)

    return Step("commit", lambda store: store.apply(Commit(1, tuple(ops))), follow)


def everywhere(roots: tuple[RootId, ...]) -> list[Op]:
    """Every path of these roots, with vectors for all chunks there are."""
    ops: list[Op] = [put(root, path, FILES[n % 6], 7) for root in roots for n, path in enumerate(PATHS)]
    return [*ops, put_vectors(sorted({chunk.chunk_id for file in FILES for chunk in file.chunks}))]


def finish_jobs(store: Store) -> None:
    """Let background threads build and save; under a fault they may not get anywhere."""
    deadline = time.monotonic() + _JOBS_LIMIT_S
    for _ in range(40):
        try:
            store.maintain(idle=False)
        except EXPECTED:
            return
        while any(merger._thread and merger._thread.is_alive() for merger in store._upkeep._mergers):
            assert time.monotonic() < deadline, "background work hangs"
            time.sleep(0.001)
        if not any(merger.busy for merger in store._upkeep._mergers) and all(
            pool.slab.view().base for pool in store._memory.pools.values() if big(pool)
        ):
            return


def tidy(store: Store) -> None:
    for _ in range(3):
        try:
            store.maintain(idle=True)
        except EXPECTED:
            pass  # The index thread tries again later, too.


def remove(root: RootId) -> Step:
    return Step("remove_root", lambda store: store.remove_root(root), lambda oracle: _forget(oracle, root))


def _forget(oracle: Oracle, root: RootId) -> None:
    oracle.trees.pop(root, None)


def _third(oracle: Oracle) -> None:
    oracle.trees[THIRD] = {}


def script() -> list[Step]:
    """List commits of every kind of operation, with bases built, the log moved, indexes rewritten, and roots coming and
    going. It begins with the state that `begin` makes."""
    rng, ideal = random.Random(5), Oracle({RootId(1): {}, RootId(2): {}})
    return [
        commit([random_op(ideal, rng) for _ in range(3)]),
        Step("jobs", finish_jobs),
        commit([random_op(ideal, rng)]),
        Step("checkpoint", lambda store: store._catalog.checkpoint()),
        Step("add_root", lambda store: store.add_root("/three", "/three", ""), _third),
        commit([put(THIRD, "a.py", FILES[3])]),
        Step("tidy", tidy),
        commit([random_op(ideal, rng) for _ in range(2)]),
        remove(RootId(2)),
        commit([put(RootId(1), "last.py", FILES[1])]),
    ]


def begin(state_dir: Path) -> Oracle:
    """The state that the script begins with: two roots, bases, a log that was not moved."""
    with open_store(state_dir, MODEL) as store:
        roots = tuple(store.add_root(path, path, "").root for path in ROOTS)
        oracle = Oracle({root: {} for root in roots})
        for ops in ([put(roots[0], "a.py", FILES[0])], everywhere(roots)):
            step = commit(ops)
            step.do(store)
            step.follow(oracle)
            finish_jobs(store)
    return oracle


def run(state_dir: Path, tell: Callable[[str], None]) -> Store | None:
    """Open the store and do the steps; returns it still open, or None where it refused to open.

    Args:
        tell: takes ``begin N``, ``done N``, ``raised N MESSAGE``.
    """
    try:
        store = open_store(state_dir, MODEL)
    except RegendError as error:
        tell(f"refused 0 {error}")
        return None
    for number, step in enumerate(script()):
        for _attempt in range(2):
            tell(f"begin {number}")
            try:
                step.do(store)
            except EXPECTED as error:
                tell(f"raised {number} {type(error).__name__}: {error}")
            else:
                tell(f"done {number}")
                break
    return store


def candidates(start: Oracle, events: list[str]) -> Iterator[Oracle]:
    """The states that may be found after these events: what was done, with or without what was not answered."""
    steps, state = script(), copy.deepcopy(start)
    open_step: int | None = None
    for event in events:
        what, number = event.split(" ", 2)[:2]
        if what == "done":
            steps[int(number)].follow(state)
            open_step = None
        elif what in ("begin", "raised"):
            open_step = int(number)
    yield state
    if open_step is not None:
        after = copy.deepcopy(state)
        steps[open_step].follow(after)
        yield after


def earlier(start: Oracle, events: list[str]) -> Iterator[Oracle]:
    """The states before the last that was answered: to find one of them is to have lost something."""
    done = [n for n, event in enumerate(events) if event.startswith("done")]
    for count in range(len(done)):
        yield from candidates(start, [events[n] for n in done[:count]])


def equals(store: Store, oracle: Oracle) -> str:
    """Why the store does not equal the oracle; empty where it does."""
    try:
        check(store, oracle)
    except AssertionError as error:
        return str(error).splitlines()[0] if str(error) else "an assertion without a message"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""
