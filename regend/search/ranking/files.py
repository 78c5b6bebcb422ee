"""Files: one result per file, by its best chunk and by what the file is about as a whole."""

from __future__ import annotations

from dataclasses import replace

from regend.search.ranking.features import FeatureShare
from regend.search.ranking.likeness import likeness_of
from regend.search.ranking.ranking import Ranked
from regend.search.ranking.selection import MAX_DEPTH, Question, ResultPage, page_of, ranked
from regend.search.stages import StageClock

FILE_VECTOR = "file_vector"
"""Name of the share that a file's own vector adds to the score of its best chunk."""
_CHUNKS_PER_FILE = 3
"""Chunks ranked for each file wanted, so that enough files are among them."""
_DEEPER = 5
"""Factor by which the number of chunks grows while they are of too few files."""
_UNITS = 10_000


def select_files(question: Question, offset: int, count: int, file_weight: float, clock: StageClock) -> ResultPage:
    """Return one page of files in order, each with its best chunk.

    Args:
        file_weight: what the likeness of the whole file to the question adds to a score, at most.
    """

    question = replace(question, whole_files=True)

    def look(depth: int) -> list[Ranked]:
        best: dict[tuple[str, str], Ranked] = {}
        chunks, known = _CHUNKS_PER_FILE * depth, 0
        # The best chunks may all be of a few long files, or of the very file that was asked about.
        while len(best) <= depth:
            best = {}  # Scores of different looks do not compare.
            rows = ranked(question, chunks, clock)
            for row in rows:
                best.setdefault(row.place, row)
            exhausted = question.skipped is None and len(rows) <= known
            if exhausted or chunks >= MAX_DEPTH:
                break
            known = len(rows)
            chunks = min(MAX_DEPTH, _DEEPER * chunks)
        files = _with_vectors(question, list(best.values()), file_weight)
        files.sort(key=lambda file: (-round(file.score * _UNITS), file.place))
        clock.lap("files")
        return files

    return page_of(look, lambda file: file.place, offset, count)


def _with_vectors(question: Question, rows: list[Ranked], file_weight: float) -> list[Ranked]:
    """Add to the rows' scores what their files' vectors are worth."""
    if question.vector is None or file_weight <= 0.0:
        return rows
    likeness = likeness_of(question.snapshot, (row.candidate.entry for row in rows), question.vector)
    found: list[Ranked] = []
    for row in rows:
        value = likeness[row.candidate.entry.entry_id]
        share = FeatureShare(FILE_VECTOR, value, file_weight, file_weight * value)
        found.append(row._replace(score=row.score + share.contribution, shares=(share,)))
    return found
