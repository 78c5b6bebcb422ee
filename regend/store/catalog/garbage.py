"""Garbage collection: removes unused entries, blobs, chunks and their vectors that are too many or too old.

They are kept at first so that switching a branch back embeds nothing, and no text is paid for twice. Together they are
a cache by (chunk, model) with a bound on its size; what went out of use longest ago goes first, and what a tree uses is
never counted. Rows unused for less than a minute stay, because a query may still hold a snapshot that shows it.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

from regend.store.base import GarbageLimits
from regend.store.catalog.schema import MODEL_SHIFT

_BATCH_ENTRIES = 200
_BATCH_VECTORS = 5_000
_BYTES_PER_NUMBER = 2
"""Vectors are stored as float16."""


@dataclass(frozen=True, slots=True)
class GarbageReport:
    """Counts of what one call removed; `more`: another call would find more."""

    entries: int = 0
    blobs: int = 0
    chunks: int = 0
    more: bool = False


def collect(
    connection: sqlite3.Connection, limits: GarbageLimits, keep_models: Set[int], *, spare_models: bool = False
) -> GarbageReport:
    """Remove one batch; must run inside a transaction of the writer. Time is bounded by the batch, not by the store.

    Args:
        keep_models: the models in use.
        spare_models: keep the others, too, because one of them may come into use.
    """
    now = int(time.time())
    dims = dict(connection.execute("SELECT model, dim FROM models").fetchall())
    vector_bytes = sum(_BYTES_PER_NUMBER * dims[model] for model in keep_models & dims.keys())
    rows = connection.execute(
        "SELECT e.entry_id, e.blob_key, e.unused_utc, CASE WHEN EXISTS (SELECT 1 FROM entries l "
        "WHERE l.blob_key = e.blob_key AND (l.unused_utc IS NULL OR l.entry_id < e.entry_id)) "
        "THEN 0 ELSE b.size_bytes + b.chunk_count * ? END "
        "FROM entries e JOIN blobs b USING (blob_key) "
        "WHERE e.unused_utc IS NOT NULL ORDER BY e.unused_utc, e.entry_id",
        (vector_bytes,),
    ).fetchall()
    spared = keep_models | dims.keys() if spare_models else keep_models
    old_models = _old_model_bytes(connection, dims, spared)
    excess = sum(row[3] for row in rows) + sum(old_models.values()) - limits.max_unused_bytes
    doomed_models = set[int]()
    for (
        model,
        size_bytes,
    ) in old_models.items():  # No query reads these; they go before blobs that a tree may use again.
        if excess > 0:
            doomed_models.add(model)
            excess -= size_bytes
    victims: list[tuple[int, int]] = []
    for entry_id, blob_key, unused_utc, size_bytes in rows:
        if len(victims) > _BATCH_ENTRIES or unused_utc > now - limits.min_age_s:
            break
        if excess > 0 or unused_utc < now - limits.max_age_s:
            victims.append((entry_id, blob_key))
            excess -= size_bytes
    more = len(victims) > _BATCH_ENTRIES
    victims = victims[:_BATCH_ENTRIES]
    blobs, chunks = remove_entries(connection, victims, _unused_skipped_blobs(connection))
    more |= _remove_models(connection, doomed_models | _aged_models(connection, now - limits.max_age_s, spared))
    return GarbageReport(len(victims), blobs, chunks, more)


def remove_entries(
    connection: sqlite3.Connection, victims: Sequence[tuple[int, int]], more_blobs: Set[int] = frozenset()
) -> tuple[int, int]:
    """Remove unused entries, and the blobs, chunks, symbols and vectors that only they used.

    Args:
        victims: (entry_id, blob_key) of each.
        more_blobs: blobs to remove as well, where no entry uses them.

    Returns:
        How many blobs and chunks were removed.
    """
    connection.executemany("DELETE FROM entries WHERE entry_id = ?", [(entry_id,) for entry_id, _ in victims])
    blobs = {blob_key for _, blob_key in victims} | more_blobs
    removed = [key for key in sorted(blobs) if _remove_blob_row(connection, key)]
    return len(removed), _remove_blob_contents(connection, removed)


def _old_model_bytes(connection: sqlite3.Connection, dims: Mapping[int, int], keep_models: Set[int]) -> dict[int, int]:
    """Return the bytes of the vectors of each model that is not in use, the least recently used first."""
    rows = connection.execute("SELECT model FROM models ORDER BY last_used_utc, model").fetchall()
    found: dict[int, int] = {}
    for (model,) in rows:
        if model not in keep_models:
            span = (model << MODEL_SHIFT, (model + 1) << MODEL_SHIFT)
            counted = connection.execute(
                "SELECT count(*) FROM vectors WHERE vector_key >= ? AND vector_key < ?", span
            ).fetchone()
            found[model] = _BYTES_PER_NUMBER * dims[model] * int(counted[0])
    return found


def _unused_skipped_blobs(connection: sqlite3.Connection) -> set[int]:
    rows = connection.execute(
        "SELECT b.blob_key FROM blobs b WHERE b.skip_reason != '' "
        "AND NOT EXISTS (SELECT 1 FROM trees t WHERE t.blob = b.blob AND t.entry_id IS NULL AND t.blob IS NOT NULL) "
        "LIMIT ?",
        (_BATCH_ENTRIES,),
    )
    return {blob_key for (blob_key,) in rows}


def _remove_blob_row(connection: sqlite3.Connection, blob_key: int) -> bool:
    removed = connection.execute(
        "DELETE FROM blobs WHERE blob_key = ? AND NOT EXISTS (SELECT 1 FROM entries e WHERE e.blob_key = ?)",
        (blob_key, blob_key),
    )
    return removed.rowcount > 0


def _remove_blob_contents(connection: sqlite3.Connection, blob_keys: list[int]) -> int:
    models = [model for (model,) in connection.execute("SELECT model FROM models")]
    candidates: set[int] = set()
    for blob_key in blob_keys:
        keys = connection.execute("SELECT chunk_key FROM blob_chunks WHERE blob_key = ?", (blob_key,))
        candidates.update(key for (key,) in keys)
        connection.execute("DELETE FROM blob_chunks WHERE blob_key = ?", (blob_key,))
        connection.execute("DELETE FROM symbols WHERE blob_key = ?", (blob_key,))
    removed = 0
    for key in candidates:
        gone = connection.execute(
            "DELETE FROM chunks WHERE chunk_key = ? AND NOT EXISTS (SELECT 1 FROM blob_chunks b WHERE b.chunk_key = ?)",
            (key, key),
        )
        if gone.rowcount:
            removed += 1
            connection.executemany(
                "DELETE FROM vectors WHERE vector_key = ?", [(model << MODEL_SHIFT | key,) for model in models]
            )
            connection.execute("DELETE FROM pending WHERE chunk_key = ?", (key,))
    return removed


def _aged_models(connection: sqlite3.Connection, before_utc: int, keep_models: Set[int]) -> set[int]:
    rows = connection.execute("SELECT model FROM models WHERE last_used_utc < ?", (before_utc,)).fetchall()
    return {model for (model,) in rows} - keep_models


def _remove_models(connection: sqlite3.Connection, models: Iterable[int]) -> bool:
    """Remove a bounded number of vectors of these models; return whether some are left."""
    more = False
    for model in sorted(models):
        gone = connection.execute(
            "DELETE FROM vectors WHERE vector_key IN (SELECT vector_key FROM vectors "
            "WHERE vector_key >= ? AND vector_key < ? LIMIT ?)",
            (model << MODEL_SHIFT, (model + 1) << MODEL_SHIFT, _BATCH_VECTORS),
        )
        if gone.rowcount < _BATCH_VECTORS:
            connection.execute("DELETE FROM models WHERE model = ?", (model,))
        more |= gone.rowcount == _BATCH_VECTORS
    return more
