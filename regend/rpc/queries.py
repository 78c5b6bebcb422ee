"""Messages of the methods that ask: search, related, symbols, outline. On the wire each is a map with the same keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from regend.limits import MAX_BUDGET_TOKENS, MAX_CONTEXT_LINES, MAX_OFFSET, MAX_RESULTS
from regend.rpc.fields import Checked, wire

MAX_OVERLAYS = 64
DEFAULT_RESULTS = 10
"""What `k` is where nothing else limits the answer."""

_K = "results at most; 10 where it is left out, or as many as fit into `budget`"
_BUDGET = "tokens (50 or more) into which the best passages are packed, each file once; 0 for the usual snippets"
_OVERLAYS = "unsaved files that stand in for what is on disk, for this answer only; at most 64, each an `Overlay`"
_ROOT = "absolute path of one root; empty for all roots"
_PATH = "glob on the path relative to its root; `*` stays in one directory, `**` crosses them; empty for all"
_LANG = "language name such as `python`; empty for all"


@dataclass(frozen=True, slots=True)
class Overlay:
    path: str = wire("absolute path of a file in a root, or relative to the request's `root`; it need not exist yet")
    text: str = wire("the file as the editor has it")


@dataclass(frozen=True, slots=True)
class SearchRequest(Checked):
    query: str = wire("words, an identifier, a path or a question; may hold filters, see `docs/queries.md`")
    k: int | None = wire(_K, None, low=1, high=MAX_RESULTS)
    root: str = wire(_ROOT, "")
    path: str = wire(_PATH, "")
    lang: str = wire(_LANG, "")
    sync: bool = wire("see every write that finished before this request was sent (by words at least)", False)
    explain: bool = wire("say what each ranking feature contributed, and how long each stage took", False)
    context: int = wire(
        "lines of the file to show before and after the usual snippet", 0, low=0, high=MAX_CONTEXT_LINES
    )
    offset: int = wire(
        "results to leave out before the first: `next_offset` of the page before", 0, low=0, high=MAX_OFFSET
    )
    files: bool = wire("one result per file, ranked by what the whole file is about too", False)
    budget: int = wire(_BUDGET, 0, low=0, high=MAX_BUDGET_TOKENS)
    overlays: tuple[Overlay, ...] = wire(_OVERLAYS, ())


@dataclass(frozen=True, slots=True)
class Feature:
    value: float = wire("what was measured")
    contribution: float = wire("what it added to `score`")


@dataclass(frozen=True, slots=True)
class MatchedLine:
    line: int = wire("its number in the file, 1-based")
    text: str = wire("the line")


@dataclass(frozen=True, slots=True)
class Passage:
    start_line: int = wire("first line of the chunk, 1-based")
    end_line: int = wire("last line, inclusive")
    symbol: str = wire("path of the enclosing definition; empty at file level")
    snippet: str = wire("lines of it, without the final newline")
    snippet_line: int = wire("the line at which `snippet` begins, 1-based")


@dataclass(frozen=True, slots=True)
class Stage:
    wall_ms: float = wire("how long it took")
    cpu_ms: float = wire("how much CPU time of the query's thread it took")


@dataclass(frozen=True, slots=True)
class SearchResult:
    root: str = wire("absolute path of the root")
    path: str = wire("relative to the root, with `/`")
    start_line: int = wire("first line of the chunk, 1-based")
    end_line: int = wire("last line, inclusive")
    score: float = wire("larger is better; comparable within one answer only")
    language: str = wire("language name")
    symbol: str = wire("path of the enclosing definition, such as `Outer.method`; empty at file level")
    kind: str = wire("`function`, `class`, `method`, …, `section`, `key`, `block` or `window`")
    snippet: str = wire("its most telling lines as indexed, without the final newline")
    snippet_line: int = wire("the line at which `snippet` begins, 1-based")
    explain: Mapping[str, Feature] | None = wire(
        "feature name to `Feature`, whose contributions add up to `score`; null unless asked for", None
    )
    matches: tuple[MatchedLine, ...] = wire(
        "lines of the chunk beyond `snippet` that fit the query best, in order; each is a `MatchedLine`", ()
    )
    also: tuple[Passage, ...] = wire("with `budget`: further passages of the file, in order; each is a `Passage`", ())
    unsaved: bool = wire("it is from an overlay, so lines are those of the editor's text", False)


@dataclass(frozen=True, slots=True)
class SearchResponse:
    results: tuple[SearchResult, ...] = wire("best first; each is a `SearchResult`")
    generation: int = wire("of the snapshot that was read")
    complete: bool = wire("false while chunks still lack a vector or changes are still being read")
    took_ms: float = wire("time spent in the daemon")
    notes: tuple[str, ...] = wire("sentences for the user, such as why nothing was found", ())
    next_offset: int | None = wire("where the next page begins; null on the last, and with `budget`", None)
    tokens: int = wire("with `budget`: estimated tokens of all headings and passages", 0)
    stages: Mapping[str, Stage] | None = wire("stage name to `Stage`, in order; null unless `explain`", None)


@dataclass(frozen=True, slots=True)
class RelatedRequest(Checked):
    file: str = wire("absolute path, or relative to `root`")
    line: int = wire("1-based line in it; 0 compares the whole file with other files", 0, low=0)
    k: int | None = wire(_K, None, low=1, high=MAX_RESULTS)
    root: str = wire("limits the results to one root, and is the base of a relative `file`; empty for all", "")
    path: str = wire(_PATH, "")
    lang: str = wire(_LANG, "")
    context: int = wire("as in `search`", 0, low=0, high=MAX_CONTEXT_LINES)
    offset: int = wire("as in `search`", 0, low=0, high=MAX_OFFSET)
    budget: int = wire("as in `search`", 0, low=0, high=MAX_BUDGET_TOKENS)
    overlays: tuple[Overlay, ...] = wire("as in `search`", ())


@dataclass(frozen=True, slots=True)
class SymbolsRequest(Checked):
    name: str = wire("a name, or a dotted end of a qualified name; exact first, then ignoring case, then by prefix")
    k: int = wire("symbols at most", 20, low=1, high=MAX_RESULTS)
    root: str = wire(_ROOT, "")
    path: str = wire(_PATH, "")
    lang: str = wire(_LANG, "")


@dataclass(frozen=True, slots=True)
class SymbolResult:
    root: str = wire("absolute path of the root")
    path: str = wire("relative to the root, with `/`")
    name: str = wire("the bare name")
    qualified: str = wire("the qualified name, such as `Outer.method`")
    kind: str = wire("`class`, `function`, `method`, …")
    language: str = wire("language name")
    start_line: int = wire("first line of the definition, 1-based")
    end_line: int = wire("last line, inclusive")


@dataclass(frozen=True, slots=True)
class SymbolsResponse:
    symbols: tuple[SymbolResult, ...] = wire("best first; each is a `SymbolResult`")
    generation: int = wire("of the snapshot that was read")
    complete: bool = wire("false while changes are still being read")


@dataclass(frozen=True, slots=True)
class OutlineRequest(Checked):
    file: str = wire("absolute path, or relative to `root`")
    root: str = wire("absolute path of the root that a relative `file` is in", "")


@dataclass(frozen=True, slots=True)
class OutlineSymbol:
    name: str = wire("the bare name")
    qualified: str = wire("the qualified name")
    kind: str = wire("`class`, `function`, `method`, …")
    start_line: int = wire("first line, 1-based")
    end_line: int = wire("last line, inclusive")


@dataclass(frozen=True, slots=True)
class OutlineResponse:
    root: str = wire("absolute path of the root")
    path: str = wire("relative to the root, with `/`")
    language: str = wire("language name")
    symbols: tuple[OutlineSymbol, ...] = wire("in order of lines; each is an `OutlineSymbol`")
    generation: int = wire("of the snapshot that was read")
