"""How like whole files are to a query: by the mean of their chunks' vectors, which says what a file is about."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from regend.search.legs.fusion import cosine_scale
from regend.search.ranking.features import Candidate
from regend.store.base import Snapshot


def set_likeness(snapshot: Snapshot, candidates: Sequence[Candidate], vector: npt.NDArray[np.float32]) -> None:
    """Set `Candidate.likeness`: the cosine of the file's vector to the query's, as a share of the best file's.

    A file that has no vector yet, or points away, gets 0.

    Args:
        vector: of the query, float32 [dim], L2-normalised.
    """
    entries = {candidate.entry.entry_id: candidate.entry for candidate in candidates}
    cosines: dict[int, float] = {}
    for entry_id, entry in entries.items():
        whole = snapshot.file_vector(entry)
        cosines[entry_id] = 0.0 if whole is None else max(0.0, float(vector @ whole))
    scale = cosine_scale(cosines.values())
    for candidate in candidates:
        candidate.likeness = cosines[candidate.entry.entry_id] * scale
