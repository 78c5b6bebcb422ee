"""How like whole files are to a query: by the mean of their chunks' vectors, which says what a file is about."""

from __future__ import annotations

from collections.abc import Iterable

from regend.search.legs.fusion import cosine_scale
from regend.store.base import Entry, FloatVector, Snapshot


def likeness_of(snapshot: Snapshot, entries: Iterable[Entry], vector: FloatVector) -> dict[int, float]:
    """Return by entry id the cosine of the file's vector to the query's, as a share of the most similar file's.

    A file that has no vector yet, or points away, gets 0.

    Args:
        vector: of the query, float32 [dim], L2-normalised.
    """
    cosines: dict[int, float] = {}
    for entry in {entry.entry_id: entry for entry in entries}.values():
        whole = snapshot.file_vector(entry)
        cosines[entry.entry_id] = 0.0 if whole is None else max(0.0, float(vector @ whole))
    scale = cosine_scale(cosines.values())
    return {entry_id: cosine * scale for entry_id, cosine in cosines.items()}
