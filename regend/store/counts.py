"""Per-root counts, kept up to date by the change and published as small frozen values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class RootStats:
    """Counts of a root's files and chunks, at one generation.

    Attributes:
        files_indexed: files whose chunks are searchable.
        files_skipped: files that exist but are not indexed.
        skipped_by_reason: the same by reason.
        chunks: chunk occurrences in its indexed files.
        pending_vectors: those of them that have no vector yet.
        languages: indexed files by language.
    """

    files_indexed: int = 0
    files_skipped: int = 0
    skipped_by_reason: Mapping[str, int] | None = None
    chunks: int = 0
    pending_vectors: int = 0
    languages: Mapping[str, int] = field(default_factory=dict)


class RootCounts:
    """Mutable counts of one root. Owned by the index thread."""

    __slots__ = ("chunks", "files_indexed", "languages", "pending", "skipped")

    def __init__(self) -> None:
        self.files_indexed = 0
        self.skipped: Counter[str] = Counter()
        self.chunks = 0
        self.pending = 0
        self.languages: Counter[str] = Counter()

    def count_file(self, entry_id: int | None, reason: str, step: int) -> None:
        """Count a path with this tree row that came (`step` 1) or went (-1)."""
        if entry_id is not None:
            self.files_indexed += step
        else:
            self.skipped[reason] += step

    def freeze(self) -> RootStats:
        """Return the counts as they are now."""
        skipped = {reason: count for reason, count in sorted(self.skipped.items()) if count}
        languages = dict(self.languages)
        return RootStats(self.files_indexed, sum(skipped.values()), skipped, self.chunks, self.pending, languages)
