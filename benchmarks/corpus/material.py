"""One repository as the makers of questions see it: files of one revision, definitions in them, and commits."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from benchmarks.corpus.mirrors import Commit
from benchmarks.corpus.sources import is_source
from regend.chunking.chunker import is_generated
from regend.chunking.decoding import decode
from regend.chunking.detection import detect_language
from regend.chunking.structure import structure_of
from regend.chunking.symbols import Definition

FUNCTIONS = frozenset(("constructor", "function", "macro", "method"))
TYPES = frozenset(
    (
        "class",
        "enum",
        "extension",
        "impl",
        "interface",
        "module",
        "object",
        "protocol",
        "struct",
        "trait",
        "type",
        "union",
    )
)
"""Kinds of definitions that questions are about."""
_PARSE_S = 5.0
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Span:
    """Lines of a file, from 1 and both included."""

    path: str
    start_line: int
    end_line: int


@dataclass(frozen=True, slots=True)
class Question:
    """A question, every place that answers it, and the commit that the question was made from, if one was."""

    query: str
    targets: tuple[str | Span, ...]
    commit: str = ""

    def as_json(self, category: str) -> dict[str, Any]:
        """Return the form that `benchmarks.annotations` reads."""
        relevant = [
            target if isinstance(target, str)
            else {"path": target.path, "start_line": target.start_line, "end_line": target.end_line}
            for target in self.targets
        ]  # fmt: skip
        made = {"query": self.query, "relevant": relevant, "secondary": [], "category": category}
        return made | ({"commit": self.commit} if self.commit else {})


@dataclass(slots=True)
class Material:
    """The files and commits that questions are made from. Only the maker of `doc` questions replaces texts.

    Attributes:
        name: the repository's, ``OWNER+NAME``.
        contents: of every file that is written, by path.
        ignored: paths that an index leaves out.
    """

    name: str
    contents: dict[str, bytes]
    commits: Sequence[Commit] = ()
    ignored: frozenset[str] = frozenset()
    sources: tuple[str, ...] = field(init=False)
    source_set: frozenset[str] = field(init=False)
    _texts: dict[str, str] = field(default_factory=dict)
    _definitions: dict[str, list[Definition]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.sources = tuple(
            path
            for path, content in sorted(self.contents.items())
            if path not in self.ignored
            and is_source(path, content)
            and (text := self.text(path))
            and not is_generated(text)
        )
        self.source_set = frozenset(self.sources)

    def language(self, path: str) -> str:
        return detect_language(path, self.contents[path])

    def text(self, path: str) -> str:
        """Return a file's text, empty for a binary file."""
        if path not in self._texts:
            decoded = decode(self.contents[path])
            self._texts[path] = "" if decoded.skip_reason else decoded.text
        return self._texts[path]

    def replace_text(self, path: str, text: str) -> None:
        """Put another text, with the same lines, into the tree."""
        self.contents[path] = text.encode("utf-8", "surrogatepass")
        self._texts[path] = text

    def definitions(self, path: str) -> list[Definition]:
        """Return a file's definitions; none where its language has no grammar."""
        if path not in self._definitions:
            language = self.language(path)
            self._definitions[path] = structure_of(self.text(path), language, _PARSE_S) or []
        return self._definitions[path]

    def drawn(self, kind: str, items: Iterable[T], key: Callable[[T], str]) -> list[T]:
        """Order items as by lot, the same on every run."""
        return sorted(items, key=lambda item: (lot(self.name, kind, key(item)), key(item)))


def lot(*words: str) -> str:
    """Return a number that words draw, as hexadecimal digits."""
    return hashlib.sha256("\0".join(words).encode("utf-8", "surrogatepass")).hexdigest()
