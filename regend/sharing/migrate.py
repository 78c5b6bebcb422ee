"""Copies pools from one shared store to another, without embedding.

A vector that is there already is left as it is, so a copy that was interrupted goes on where it ended. Trees are not
copied: each daemon names its own when it meets the new store.
"""

from __future__ import annotations

from dataclasses import dataclass

from regend.sharing.base import SharedModel, SharedStore
from regend.types import ChunkId

AT_ONCE = 2_000
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


async def _compare(
    source: SharedStore, target: SharedStore, pool: str, model: SharedModel, chunks: list[ChunkId], done: Copied
) -> None:
    ours, theirs = await source.fetch(pool, model, chunks), await target.fetch(pool, model, chunks)
    there = {chunk: vector.tobytes() for chunk, vector in zip(*theirs, strict=True)}
    for chunk, vector in zip(*ours, strict=True):
        done.sampled += 1
        done.differing += there.get(chunk) != vector.tobytes()
