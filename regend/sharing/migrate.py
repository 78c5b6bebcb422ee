"""Copies pools from one shared store to another, without embedding.

A vector that is there already is left as it is, and so is a tree of the same revision: a copy that was interrupted goes
on where it ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from regend.sharing.base import KnownTree, SharedModel, SharedStore, TreeChange
from regend.types import ChunkId

AT_ONCE = 2_000
_QUERIES, _NEAREST = 5, 10
"""Vectors of each tree that both stores are asked about, and for how many chunks."""
_SAMPLED = 20
"""Vectors of each page that are read back from the target and compared."""


@dataclass(slots=True)
class Copied:
    """Counts of one pool and model.

    Attributes:
        found: vectors of the source.
        new: those that the target lacked.
        there: those that the target has now; fewer than `found` where the copy is not whole.
        sampled: those that were compared bit by bit.
        differing: those of them that differ, because the target had a vector of another writer.
    """

    pool: str
    model_id: str
    found: int = 0
    new: int = 0
    there: int = 0
    sampled: int = 0
    differing: int = 0


async def copy_pool(source: SharedStore, target: SharedStore, pool: str, model: SharedModel) -> Copied:
    """Copy all vectors of a pool and a model; raises as the stores do."""
    done = Copied(pool, model.model_id)
    after = b""
    while page := await source.page(pool, model, after, AT_ONCE):
        after = page[-1]
        known = await target.known(pool, model, page)
        wanted = [chunk for chunk in page if chunk not in known]
        if wanted:
            chunks, vectors = await source.fetch(pool, model, wanted)
            done.new += await target.put(pool, model, chunks, vectors)
        done.found += len(page)
        done.there += len(await target.known(pool, model, page))
        await _compare(source, target, pool, model, page[:: max(1, len(page) // _SAMPLED)], done)
    return done


@dataclass(slots=True)
class CopiedTrees:
    """Counts of one pool's trees.

    Attributes:
        found: trees of the source whose lease has not ended.
        new: those that the target lacked, or had in another revision.
        differing: those that name other chunks in the target than in the source.
        asked: chunks that the source finds nearest to vectors of the trees, a few for each.
        agreed: those of them that the target finds, too.
    """

    pool: str
    found: int = 0
    new: int = 0
    differing: int = 0
    asked: int = 0
    agreed: int = 0


async def copy_trees(source: SharedStore, target: SharedStore, pool: str, models: Sequence[SharedModel]) -> CopiedTrees:
    """Copy all trees of a pool with what is left of their leases; their vectors come first."""
    done = CopiedTrees(pool)
    there = {known.tree: known.revision for known in await target.trees(pool)}
    for known in await source.trees(pool):
        chunks = await source.tree_chunks(pool, known.tree)
        done.found += 1
        if there.get(known.tree) != known.revision:
            await target.commit_tree(
                pool, TreeChange(known.tree, "", known.revision, frozenset(chunks)), max(1.0, known.lease_s)
            )
            done.new += 1
        done.differing += await target.tree_chunks(pool, known.tree) != chunks
        for model in models:
            await _ask_both(source, target, pool, model, known, chunks, done)
    return done


async def _ask_both(
    source: SharedStore,
    target: SharedStore,
    pool: str,
    model: SharedModel,
    known: KnownTree,
    chunks: set[ChunkId],
    done: CopiedTrees,
) -> None:
    """Ask both stores for what is nearest to a few vectors of a tree."""
    _, vectors = await source.fetch(pool, model, sorted(chunks)[:: max(1, len(chunks) // _QUERIES)][:_QUERIES])
    for vector in vectors.astype(np.float32):
        ours, theirs = [
            {near.chunk for near in await store.nearest(pool, model, vector, _NEAREST, {known.tree: ""})}
            for store in (source, target)
        ]
        done.asked += len(ours)
        done.agreed += len(ours & theirs)


async def _compare(
    source: SharedStore, target: SharedStore, pool: str, model: SharedModel, chunks: list[ChunkId], done: Copied
) -> None:
    ours, theirs = await source.fetch(pool, model, chunks), await target.fetch(pool, model, chunks)
    there = {chunk: vector.tobytes() for chunk, vector in zip(*theirs, strict=True)}
    for chunk, vector in zip(*ours, strict=True):
        done.sampled += 1
        done.differing += there.get(chunk) != vector.tobytes()
