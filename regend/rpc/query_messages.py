"""Messages of the queries: search, related, symbols, outline. On the wire each is a map with the same keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from regend import limits
from regend.fields import Checked, declare

_K = f"maximum number of results; {limits.DEFAULT_RESULTS} if left out, or as many as fit into `budget`"
_BUDGET = (
    f"tokens ({limits.MIN_BUDGET_TOKENS} or more) into which the best passages are packed, each file once; "
    "0 for the usual snippets"
)
_OVERLAYS = (
    f"unsaved files that replace those on disk for this answer only; at most {limits.MAX_OVERLAYS}, each an `Overlay`"
)
_ROOT = "absolute path of one root; empty for all roots"
_PATH = "glob on the path relative to its root; `*` stays in one directory, `**` crosses directories; empty for all"
_UNDER = (
    "absolute paths of roots, directories and files; results lie at or below one of them; empty for all; "
    f"at most {limits.MAX_PLACES}"
)
_GLOBS = (
    "globs as `path`; results match one of them, and none of those that begin with `!`; empty for all; "
    f"at most {limits.MAX_PLACES}"
)
_LINES = f"maximum lines of each snippet, without `context`; 0 for the usual {limits.SNIPPET_LINES}; not with `budget`"
_LANG = "language name such as `python`, or several with commas; empty for all"


@dataclass(frozen=True, slots=True)
class Overlay:
    path: str = declare("absolute path of a file in a root, or relative to the request's `root`; it need not exist yet")
    text: str = declare("the editor's text of the file")


@dataclass(frozen=True, slots=True)
class SearchRequest(Checked):
    query: str = declare("words, an identifier, a path or a question; may hold filters, see `docs/queries.md`")
    k: int | None = declare(_K, None, low=1, high=limits.MAX_RESULTS)
    root: str = declare(_ROOT, "")
    path: str = declare(_PATH, "")
    lang: str = declare(_LANG, "")
    sync: bool = declare("include every write that finished before this request was sent (by words at least)", False)
    explain: bool = declare("say what each ranking feature contributed, and how long each stage took", False)
    context: int = declare(
        "lines of the file to show before and after the usual snippet", 0, low=0, high=limits.MAX_CONTEXT_LINES
    )
    offset: int = declare(
        "number of results to skip: `next_offset` of the previous page", 0, low=0, high=limits.MAX_OFFSET
    )
    files: bool = declare("one result per file, ranked also by the whole file", False)
    budget: int = declare(_BUDGET, 0, low=0, high=limits.MAX_BUDGET_TOKENS)
    overlays: tuple[Overlay, ...] = declare(_OVERLAYS, ())
    lines: int = declare(_LINES, 0, low=0, high=limits.MAX_CONTEXT_LINES)
    under: tuple[str, ...] = declare(_UNDER, ())
    globs: tuple[str, ...] = declare(_GLOBS, ())


@dataclass(frozen=True, slots=True)
class Feature:
    value: float = declare("what was measured")
    contribution: float = declare("what it added to `score`")


@dataclass(frozen=True, slots=True)
class MatchedLine:
    line: int = declare("its number in the file, 1-based")
    text: str = declare("the line")


@dataclass(frozen=True, slots=True)
class Passage:
    start_line: int = declare("first line of the chunk, 1-based")
    end_line: int = declare("last line, inclusive")
    symbol: str = declare("path of the enclosing definition; empty at file level")
    snippet: str = declare("lines of the chunk, without the final newline")
    snippet_line: int = declare("the line at which `snippet` begins, 1-based")


@dataclass(frozen=True, slots=True)
class Copy:
    root: str = declare("absolute path of the root")
    path: str = declare("relative to the root, with `/`")
    start_line: int = declare("first line, 1-based")
    end_line: int = declare("last line, inclusive")


@dataclass(frozen=True, slots=True)
class Stage:
    wall_ms: float = declare("how long it took")
    cpu_ms: float = declare("CPU time that it took in the query's thread")


@dataclass(frozen=True, slots=True)
class SearchResult:
    root: str = declare("absolute path of the root")
    path: str = declare("relative to the root, with `/`")
    start_line: int = declare("first line of the chunk, 1-based")
    end_line: int = declare("last line, inclusive")
    score: float = declare("larger is better; comparable within one answer only")
    language: str = declare("language name")
    symbol: str = declare(
        "path of the definition in the chunk that the query names, or else of what encloses the chunk's lines, such as "
        "`Outer.method`; empty at file level"
    )
    kind: str = declare("`function`, `class`, `method`, …, `section`, `key`, `block` or `window`")
    snippet: str = declare("its most relevant lines as indexed, without the final newline")
    snippet_line: int = declare("the line at which `snippet` begins, 1-based")
    explain: Mapping[str, Feature] | None = declare(
        "feature name to `Feature`, whose contributions add up to `score`; null unless asked for", None
    )
    matches: tuple[MatchedLine, ...] = declare(
        "lines beyond `snippet` that fit the query best, in order: of the chunk, and where a large class begins in it, "
        "heads of its members; each is a `MatchedLine`",
        (),
    )
    also: tuple[Passage, ...] = declare(
        "with `budget`: further passages of the file, in order; each is a `Passage`", ()
    )
    unsaved: bool = declare("true if it is from an overlay; then lines are those of the editor's text", False)
    copies: tuple[Copy, ...] = declare(
        "the first other places with the same text, at most 10, and 3 with `budget`; each is a `Copy`", ()
    )
    copy_count: int = declare("how many other places have the same text", 0)
    line: int = declare(
        "the best line, in `snippet` or `matches`: the definition that was named, or that with most words; 1-based", 0
    )

    @property
    def file(self) -> str:
        """The absolute path of the file."""
        return f"{self.root.rstrip('/')}/{self.path}"


@dataclass(frozen=True, slots=True)
class SearchResponse:
    results: tuple[SearchResult, ...] = declare("best first; each is a `SearchResult`")
    generation: int = declare("generation of the snapshot that was read")
    complete: bool = declare("false while chunks still lack a vector or changes are still being read")
    took_ms: float = declare("time spent in the daemon")
    notes: tuple[str, ...] = declare("sentences for the user, such as why nothing was found", ())
    next_offset: int | None = declare("where the next page begins; null on the last, and with `budget`", None)
    tokens: int = declare("with `budget`: estimated tokens of all headings and passages", 0)
    stages: Mapping[str, Stage] | None = declare("stage name to `Stage`, in order; null unless `explain`", None)
    words: tuple[str, ...] = declare(
        "words that were searched for and their usual forms, in lower case, for marks in the snippets", ()
    )


@dataclass(frozen=True, slots=True)
class RelatedRequest(Checked):
    file: str = declare("absolute path, or relative to `root`")
    line: int = declare("1-based line in it; 0 compares the whole file with other files", 0, low=0)
    k: int | None = declare(_K, None, low=1, high=limits.MAX_RESULTS)
    root: str = declare("limits the results to one root, and is the base of a relative `file`; empty for all", "")
    path: str = declare(_PATH, "")
    lang: str = declare(_LANG, "")
    context: int = declare("as in `search`", 0, low=0, high=limits.MAX_CONTEXT_LINES)
    offset: int = declare("as in `search`", 0, low=0, high=limits.MAX_OFFSET)
    budget: int = declare("as in `search`", 0, low=0, high=limits.MAX_BUDGET_TOKENS)
    overlays: tuple[Overlay, ...] = declare("as in `search`", ())
    lines: int = declare("as in `search`", 0, low=0, high=limits.MAX_CONTEXT_LINES)
    under: tuple[str, ...] = declare("as in `search`", ())
    globs: tuple[str, ...] = declare("as in `search`", ())


@dataclass(frozen=True, slots=True)
class SymbolsRequest(Checked):
    name: str = declare("a name, or the dotted end of one; exact matches come first, then other case, then prefixes")
    k: int = declare("maximum number of symbols", 20, low=1, high=limits.MAX_RESULTS)
    root: str = declare(_ROOT, "")
    path: str = declare(_PATH, "")
    lang: str = declare(_LANG, "")
    under: tuple[str, ...] = declare("as in `search`", ())
    globs: tuple[str, ...] = declare("as in `search`", ())
    kind: str = declare("only this kind, such as `function`, or several with commas; empty for any", "")


@dataclass(frozen=True, slots=True)
class SymbolResult:
    root: str = declare("absolute path of the root")
    path: str = declare("relative to the root, with `/`")
    name: str = declare("the bare name")
    qualified: str = declare("the qualified name, such as `Outer.method`")
    kind: str = declare("`class`, `function`, `method`, …")
    language: str = declare("language name")
    start_line: int = declare("first line of the definition, 1-based")
    end_line: int = declare("last line, inclusive")
    text: str = declare("the line on which it begins, as indexed", "")

    @property
    def file(self) -> str:
        """The absolute path of the file."""
        return f"{self.root.rstrip('/')}/{self.path}"


@dataclass(frozen=True, slots=True)
class SymbolsResponse:
    symbols: tuple[SymbolResult, ...] = declare("best first; each is a `SymbolResult`")
    generation: int = declare("generation of the snapshot that was read")
    complete: bool = declare("false while changes are still being read")


@dataclass(frozen=True, slots=True)
class OutlineRequest(Checked):
    file: str = declare("absolute path, or relative to `root`")
    root: str = declare("absolute path of the root that a relative `file` is in", "")


@dataclass(frozen=True, slots=True)
class OutlineSymbol:
    name: str = declare("the bare name")
    qualified: str = declare("the qualified name")
    kind: str = declare("`class`, `function`, `method`, …")
    start_line: int = declare("first line, 1-based")
    end_line: int = declare("last line, inclusive")


@dataclass(frozen=True, slots=True)
class OutlineResponse:
    root: str = declare("absolute path of the root")
    path: str = declare("relative to the root, with `/`")
    language: str = declare("language name")
    symbols: tuple[OutlineSymbol, ...] = declare("in order of lines; each is an `OutlineSymbol`")
    generation: int = declare("generation of the snapshot that was read")
    complete: bool = declare("false while changes are still being read", True)
