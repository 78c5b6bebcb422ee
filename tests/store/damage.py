"""A small populated state directory, ways to damage its files, and what must hold after it is opened again.

Two roots in two pools, commits in the write-ahead log and in the main file, lexical indexes with several segments, and
HNSW bases. It is kept at three moments: early (where old versions of files come from), as a kill leaves it, and closed.
"""

from __future__ import annotations

import copy
import random
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from regend.core.commands import Commit, DeleteFile, Op
from regend.store.store import Store, open_store
from regend.types import RootId
from tests.store.oracle import FILES, PATHS, Oracle, check, random_op
from tests.store.samples import MODEL, put, put_vectors

COMMITS = 24
ROOTS = ("/one", "/two")
BASE_ROWS = 3
"""Small enough that the few chunks of the samples get an HNSW base."""
MOMENTS = ("killed", "closed")
UNTOUCHED = frozenset(("lock", "index.db-shm", ".tantivy-writer.lock", ".tantivy-meta.lock"))
"""Files without content, and the file that SQLite makes again whenever the first connection is opened."""


@dataclass
class States:
    """`directory` holds one state directory by moment; `history`: generation -> what the store held then."""

    directory: Path
    history: dict[int, Oracle]
    final: Oracle

    def files(self, moment: str) -> list[str]:
        base = self.directory / moment
        found = (path.relative_to(base) for path in base.rglob("*") if path.is_file() and path.name not in UNTOUCHED)
        return sorted(str(path) for path in found)


def populate(directory: Path, seed: int) -> States:
    """Make the state directories."""
    rng, history, live = random.Random(seed), {}, directory / "live"
    with open_store(live, MODEL) as store:
        roots = [store.add_root(path, path, "").root for path in ROOTS]
        oracle = Oracle({root: {} for root in roots})
        for number in range(COMMITS):
            ops: list[Op] = [random_op(oracle, rng)]
            oracle.do(ops[0])
            if number == COMMITS - 1:
                # At last every path holds something, and nothing lacks its vector.
                ops = [put(root, path, FILES[n % 6], 7) for root in roots for n, path in enumerate(PATHS)]
                ops.append(put_vectors(sorted({chunk.chunk_id for file in FILES for chunk in file.chunks})))
                for op in ops:
                    oracle.do(op)
            store.apply(Commit(number, tuple(ops)))
            history[store.reads.snapshot.generation] = copy.deepcopy(oracle)
            if number == COMMITS // 3:
                settle(store)
                shutil.copytree(live, directory / "early")
            if number == COMMITS // 2:
                store._catalog.checkpoint()
            if number % 7 == 6:
                settle(store)
        settle(store)
        shutil.copytree(live, directory / "killed")
    live.rename(directory / "closed")
    return States(directory, history, oracle)


def settle(store: Store) -> None:
    """Let the bases be built, saved or loaded."""
    deadline = time.monotonic() + 20
    while True:
        store.maintain(idle=False)
        pools = store._memory.pools.values()
        if not any(merger.busy for merger in store._upkeep._mergers) and all(
            pool.slab.view().base for pool in pools if big(pool)
        ):
            return
        assert time.monotonic() < deadline, "background work did not come to an end"
        time.sleep(0.002)


def big(pool: object) -> bool:
    return pool.slab.view().live_count >= BASE_ROWS  # type: ignore[attr-defined, no-any-return]


# --- damage -----------------------------------------------------------------------------------------------------------


def flip(path: Path, rng: random.Random) -> None:
    data = bytearray(path.read_bytes() or b"\0")
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


def scatter(path: Path, rng: random.Random) -> None:
    for _ in range(rng.randrange(2, 40)):
        flip(path, rng)


def cut(path: Path, rng: random.Random) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: rng.randrange(len(data) + 1)])


def zero(path: Path, rng: random.Random) -> None:
    data = bytearray(path.read_bytes())
    start = rng.choice((0, rng.randrange(len(data) + 1)))
    length = rng.choice((16, 512, 4096, len(data)))
    data[start : start + length] = bytes(len(data[start : start + length]))
    path.write_bytes(data)


def grow(path: Path, rng: random.Random) -> None:
    path.write_bytes(path.read_bytes() + rng.randbytes(rng.choice((1, 100, 5000))))


def remove(path: Path, _rng: random.Random) -> None:
    path.unlink()


def garbage(path: Path, rng: random.Random) -> None:
    path.write_bytes(rng.randbytes(rng.choice((0, 1, 100, 5000))))


DAMAGE: dict[str, Callable[[Path, random.Random], None]] = {
    "flip": flip, "scatter": scatter, "cut": cut, "zero": zero, "grow": grow, "remove": remove, "garbage": garbage,
}  # fmt: skip
KINDS = (*DAMAGE, "swap", "old", "old_group")


def hurt(states: States, state_dir: Path, moment: str, kind: str, name: str, rng: random.Random) -> str:
    """Damage one file (or a few) of a copy; returns what was done, in words."""
    target = state_dir / name
    if kind == "swap":
        other = rng.choice([file for file in states.files(moment) if file != name])
        first, second = target.read_bytes(), (state_dir / other).read_bytes()
        target.write_bytes(second)
        (state_dir / other).write_bytes(first)
        return f"{moment}: {name} swapped with {other}"
    if kind.startswith("old"):
        top = name.split("/")[0].split("-")[0].removesuffix(".sums")
        group = [file for file in states.files(moment) if file.startswith(top)] if kind == "old_group" else [name]
        kept = rng.sample(group, rng.randrange(1, len(group) + 1))
        for file in kept:
            early = states.directory / "early" / file
            if early.exists():
                shutil.copyfile(early, state_dir / file)
            else:
                (state_dir / file).unlink()
        return f"{moment}: old version of {', '.join(kept)}"
    DAMAGE[kind](target, rng)
    return f"{moment}: {kind} of {name}"


# --- what must hold ---------------------------------------------------------------------------------------------------


def reopen_and_check(states: States, state_dir: Path) -> str:
    """Open, compare with the oracle, reconcile with the "disk" as a daemon does, compare again; then once more.

    Returns:
        ``whole``, ``older`` or ``anew``: what was found.
    """
    with open_store(state_dir, MODEL) as store:
        paths = {record.path for record in store.reads.roots()}
        assert paths <= set(ROOTS), "a root that nobody asked for"
        newest = max(states.history)
        if store.reads.snapshot.generation in states.history and len(paths) == len(ROOTS):
            found = "whole" if store.reads.snapshot.generation == newest else "older"
            check(store, states.history[store.reads.snapshot.generation])
        else:
            found = "anew"
            assert all(not store.tree(record.root) for record in store.reads.roots()), "neither old nor new"
        oracle = reconcile(states, store)
        check(store, oracle)
        settle(store)
        store.maintain(idle=True)
        check(store, oracle)
    with open_store(state_dir, MODEL) as store:
        settle(store)
        check(store, oracle)
    return found


def reconcile(states: States, store: Store) -> Oracle:
    """Bring the trees in line with the final ones, and embed what lacks a vector; returns the oracle for this store."""
    roots = {path: store.add_root(path, path, "").root for path in ROOTS}
    final = dict(zip(ROOTS, states.final.trees.values(), strict=True))
    for path, root in roots.items():
        known = set(store.tree(root))
        ops: list[Op] = [DeleteFile(root, name) for name in known - set(final[path])]
        for name, file in final[path].items():
            assert not isinstance(file, str)
            ops.append(put(root, name, file, 7))
        store.apply(Commit(1, tuple(ops)))
    store.apply(Commit(2, (put_vectors([pending.chunk for pending in store.unembedded(1000, frozenset()).chunks]),)))
    oracle = Oracle({RootId(root): final[path] for path, root in roots.items()})
    oracle.vectors = oracle.live_chunks()
    return oracle
