"""Garbage collection: unused entries, blobs and chunks go once they are too many or too old.

They are kept at first so that switching a branch back embeds nothing. What became unused within the last minute stays,
because a query may still hold a snapshot that shows it.
"""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass

from regend.store.schema import MODEL_SHIFT

MIN_AGE_S = 60
_BATCH_ENTRIES = 200


@dataclass(frozen=True, slots=True)
class GarbageLimits:
    """How much may stay unused.

    Attributes:
        max_unused_bytes: text of unused blobs, roughly; the oldest go first.
        max_age_s: whatever has been unused for longer goes.
        min_age_s: whatever has been unused for less stays.
    """

    max_unused_bytes: int = 1_000_000_000
    max_age_s: int = 30 * 86_400
    min_age_s: int = MIN_AGE_S


@dataclass(frozen=True, slots=True)
class GarbageReport:
    """What one call removed; `more`: another call would find more."""

    entries: int = 0
    blobs: int = 0
    chunks: int = 0
    more: bool = False


def collect(connection: sqlite3.Connection, limits: GarbageLimits, keep_models: set[int]) -> GarbageReport:
    """Remove one batch; must run inside a transaction of the writer. Time is bounded by the batch, not by the store."""
    now = int(time.time())
    rows = connection.execute(
        "SELECT e.entry_id, e.blob_key, e.unused_utc, b.size_bytes FROM entries e JOIN blobs b USING (blob_key) "
        "WHERE e.unused_utc IS NOT NULL ORDER BY e.unused_utc, e.entry_id"
    ).fetchall()
    excess = sum(row[3] for row in rows) - limits.max_unused_bytes
    victims: list[tuple[int, int]] = []
    for entry_id, blob_key, unused_utc, size_bytes in rows:
        if len(victims) > _BATCH_ENTRIES or unused_utc > now - limits.min_age_s:
            break
        if excess > 0 or unused_utc < now - limits.max_age_s:
            victims.append((entry_id, blob_key))
            excess -= size_bytes
    more = len(victims) > _BATCH_ENTRIES
    victims = victims[:_BATCH_ENTRIES]
    connection.executemany("DELETE FROM entries WHERE entry_id = ?", [(entry_id,) for entry_id, _ in victims])
    blobs = {blob_key for _, blob_key in victims} | _unused_skipped_blobs(connection)
    removed = [key for key in sorted(blobs) if _remove_blob_row(connection, key)]
    chunks = _remove_blob_contents(connection, removed)
    _remove_old_models(connection, now - limits.max_age_s, keep_models)
    return GarbageReport(len(victims), len(removed), chunks, more)


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


def _remove_old_models(connection: sqlite3.Connection, before_utc: int, keep_models: set[int]) -> None:
    """Vectors of a model that was not used for as long go, a bounded number at a time."""
    rows = connection.execute("SELECT model FROM models WHERE last_used_utc < ?", (before_utc,)).fetchall()
    for model in {model for (model,) in rows} - keep_models:
        gone = connection.execute(
            "DELETE FROM vectors WHERE vector_key IN (SELECT vector_key FROM vectors "
            "WHERE vector_key >= ? AND vector_key < ? LIMIT 5000)",
            (model << MODEL_SHIFT, (model + 1) << MODEL_SHIFT),
        )
        if gone.rowcount == 0:
            connection.execute("DELETE FROM models WHERE model = ?", (model,))
