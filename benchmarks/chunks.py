"""How large chunks are, by language: mean lines, and the shares of those that are too short to be worth reading."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from regend.chunking.chunker import chunk_content
from regend.chunking.detection import detect_language
from regend.config import LimitConfig
from regend.types import UNSURE

SHORT_LINES = 3
_SKIPPED_FOLDERS = frozenset({"node_modules", "__pycache__"})


@dataclass(slots=True)
class Sizes:
    """Sizes of the chunks of one language: lines of each, and how many files they come from."""

    files: int = 0
    lines: list[int] = field(default_factory=list)

    def row(self, name: str) -> str:
        count = max(1, len(self.lines))
        short = sum(lines <= SHORT_LINES for lines in self.lines)
        single = sum(lines == 1 for lines in self.lines)
        return (
            f"| {name} | {self.files:,} | {len(self.lines):,} | {sum(self.lines) / count:.1f} "
            f"| {short / count:.1%} | {single / count:.1%} |"
        )


def run(directories: Sequence[Path], limits: LimitConfig | None = None) -> str:
    """Return a table of all files below the directories, and the CPU time that chunking them took."""
    by_language: dict[str, Sizes] = {}
    spent_s = 0.0
    for file in files_below(directories):
        content = file.read_bytes()
        language = detect_language(file.as_posix(), content)
        began_s = time.process_time()
        result = chunk_content(content, language, UNSURE, limits or LimitConfig())
        spent_s += time.process_time() - began_s
        if result.chunks:
            sizes = by_language.setdefault(language, Sizes())
            sizes.files += 1
            sizes.lines += [chunk.end_line - chunk.start_line + 1 for chunk in result.chunks]
    whole = Sizes(
        sum(sizes.files for sizes in by_language.values()),
        [lines for sizes in by_language.values() for lines in sizes.lines],
    )
    rows = [sizes.row(name) for name, sizes in sorted(by_language.items(), key=lambda item: -len(item[1].lines))]
    head = f"| language | files | chunks | lines, mean | at most {SHORT_LINES} lines | one line |"
    return "\n".join([head, "|---|---|---|---|---|---|", whole.row("all"), *rows, "", f"CPU: {spent_s:.1f} s"])


def files_below(directories: Sequence[Path]) -> Iterator[Path]:
    """Yield the files that an index would hold, about: none that are hidden, linked, or installed."""
    for directory in directories:
        for at, folders, names in os.walk(directory):
            folders[:] = sorted(name for name in folders if name[0] != "." and name not in _SKIPPED_FOLDERS)
            files = (Path(at, name) for name in sorted(names) if name[0] != ".")
            yield from (file for file in files if file.is_file() and not file.is_symlink())
