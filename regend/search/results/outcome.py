"""The engine's answers: plain values, free of store and wire types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from regend.search.ranking.features import FeatureShare
from regend.search.results.snippets import MatchedLine


@dataclass(frozen=True, slots=True)
class Passage:
    """Further lines of a result's file.

    Attributes:
        start_line: of the chunk, 1-based.
        end_line: inclusive.
        symbol: path of the enclosing definition, or empty.
        snippet: lines of it, without final newline.
        snippet_line: 1-based line at which `snippet` begins.
    """

    start_line: int
    end_line: int
    symbol: str
    snippet: str
    snippet_line: int


@dataclass(frozen=True, slots=True)
class Copy:
    """A place with the same text as a result: root, path and lines as in `SearchResult`."""

    root: str
    path: str
    start_line: int
    end_line: int


@dataclass(frozen=True, slots=True)
class SearchResult:
    """One chunk or definition.

    Attributes:
        root: absolute path of the root that shows it.
        path: relative to the root, with ``/``.
        start_line: of the chunk or definition, 1-based.
        end_line: inclusive.
        score: comparable within one answer only.
        symbol: path of the definition in it that the query names, or else of what encloses it, or empty.
        snippet: the most relevant lines, without final newline.
        snippet_line: 1-based line at which `snippet` begins.
        explain: empty unless asked for.
        matches: lines beyond the snippet that fit the query best, in order: of the chunk, and heads of members of a
            large class that begins in it.
        also: further passages of the file, in order; only where a budget was given.
        unsaved: from an overlay, so lines are those of the editor's buffer.
        copies: the first other places with the same text.
        copy_count: how many there are.
        line: the best line, see `Snippet`.
    """

    root: str
    path: str
    start_line: int
    end_line: int
    score: float
    language: str
    symbol: str
    kind: str
    snippet: str
    snippet_line: int
    explain: tuple[FeatureShare, ...] = ()
    matches: tuple[MatchedLine, ...] = ()
    also: tuple[Passage, ...] = ()
    unsaved: bool = False
    copies: tuple[Copy, ...] = ()
    copy_count: int = 0
    line: int = 0


@dataclass(frozen=True, slots=True)
class SearchOutcome:
    """An answer and how it came about.

    Attributes:
        generation: of the snapshot that was read.
        complete: False while some chunk still waits for its vector.
        notes: sentences a user should read: why there is nothing, what was cut.
        stage_ms: milliseconds by stage; for `--explain` and status.
        cpu_ms: CPU milliseconds of the query's thread by stage; empty unless `explain` was asked for.
        next_offset: where the next page begins, or None after the last.
        tokens: estimated tokens of all headings and passages; 0 where no budget was given.
        words: those that were searched for and their usual forms, in lower case, for marks in the snippets.
    """

    results: tuple[SearchResult, ...]
    generation: int
    complete: bool
    notes: tuple[str, ...] = ()
    stage_ms: Mapping[str, float] = field(default_factory=dict)
    cpu_ms: Mapping[str, float] = field(default_factory=dict)
    next_offset: int | None = None
    tokens: int = 0
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Definition:
    """One line of an outline."""

    name: str
    symbol: str
    kind: str
    start_line: int
    end_line: int


@dataclass(frozen=True, slots=True)
class Outline:
    """A file's definitions in order of lines."""

    root: str
    path: str
    language: str
    definitions: tuple[Definition, ...]
    generation: int
