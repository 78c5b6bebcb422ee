"""Answers `why`: whether a file is indexed, and if not, which rule or error excludes it."""

from __future__ import annotations

import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from regend.chunking.detection import detect_language
from regend.core.pipeline import Pipeline
from regend.daemon.handlers.named_files import absolute
from regend.daemon.roots import Roots, ServedRoot
from regend.disk.names import is_utf8, skip_reason_of
from regend.errors import count_text
from regend.rpc.connection import Connection
from regend.rpc.operation_messages import IgnoreRule, WhyRequest, WhyResponse
from regend.store.reads import Reads
from regend.types import ChunkId, RootId, Track

_REASONS = {
    "too_large": "It is larger than `limits.max_file_bytes`.",
    "binary": "It is not text.",
    "minified": "Its lines are too long to be written by hand.",
    "generated": "It is generated.",
    "editor_file": "It is a backup, a swap file or a lock that an editor keeps beside the file itself.",
    "lfs_pointer": "Git LFS has not fetched its content; `git lfs pull` does.",
    "too_many_chunks": "It has more chunks than one file may have.",
    "symlink": "It is a symbolic link; links are not followed.",
    "not_regular": "It is no regular file.",
    "unreadable": "It may not be read.",
    "name_not_utf8": "Its name is not valid UTF-8.",
    "own_log": "The daemon writes its own log or output to it.",
}
_MISSING = ("missing", "There is no such file.")
_MODELS = ("model", "stronger model")
"""Names for people, by track."""
_SHOWN_CHUNKS = 5


@dataclass(frozen=True, slots=True)
class WhyMethod:
    """Answers `why`."""

    roots: Roots
    pipeline: Pipeline
    reads: Reads

    async def why(self, _: Connection, request: WhyRequest) -> WhyResponse:
        """Read live state on the event loop, and the catalog and the disk in a thread."""
        path = absolute(request.file, request.root)
        # The file itself may be a link, which is not followed.
        real = await self.roots.real_path(path.parent) / path.name
        places = self.roots.all_containing(real) or self.roots.all_containing(path)
        if not places:
            return _answer(str(path), "", "outside", "It is in no root; add one that holds it with `regenctl add DIR`.")
        served, relative = places[0]
        if relative == "":
            return _answer(relative, served.path, "indexed", "It is the root itself.")
        quarantined = self.pipeline.quarantined.get((served.record.root, relative), "")
        refused = [self.pipeline.given_up(Track(track)) for track in range(len(_MODELS))]
        explain = partial(_explain, served, relative, self.reads, quarantined, refused)
        return await self.roots.ask(served, explain)


def _explain(
    served: ServedRoot, relative: str, reads: Reads, quarantined: str, refused: Sequence[Mapping[ChunkId, str]]
) -> WhyResponse:
    full, answer = served.identity.path / relative, partial(_answer, relative, served.path)
    kind = _kind(full)
    exists, is_dir = kind != "missing", kind == "directory"
    decision = served.rules.decide(relative, is_dir)
    rule = (
        IgnoreRule(decision.source, decision.line, decision.pattern) if decision.ignored or decision.tracked else None
    )
    named = f"`{decision.pattern}` in {decision.source}" + (f":{decision.line}" if decision.line else "")
    if decision.ignored:
        return answer("ignored", f"{named} excludes it.", rule)
    if not is_utf8(relative):
        return answer("skipped", f"name_not_utf8: {_REASONS['name_not_utf8']}") if exists else answer(*_MISSING)
    row = reads.file_row(served.record.root, relative)
    attributes = served.rules.attributes(relative)
    declared = "".join(f" {declaration.sentence}" for declaration in attributes.declarations(relative))
    marks = attributes.declared(relative).marks
    unsure = f"It is not read now, because {decision.unsure}." if decision.unsure else ""
    if is_dir:
        said = "It is a directory that is not ignored."
        if decision.tracked:
            said = f"{named} excludes it, except for what git tracks in it."
        return answer("pending", unsure) if unsure else answer("indexed", said, rule)
    if row is not None and row.state == "indexed":
        said = f"It is searchable as {count_text(row.chunk_count, 'chunk')}."
        said += _refused(served.record.root, relative, reads, refused)
        said += f" {unsure}" if unsure else ""
        said += f" {named} does not exclude it, because git tracks it." if decision.tracked else ""
        degraded = row.degraded_reason.removesuffix(marks).strip()
        return answer("indexed", said + declared, rule, row.language, row.chunk_count, degraded)
    if row is not None and row.reason.startswith("quarantined"):
        quarantined = quarantined or row.reason
    if quarantined:
        return answer("quarantined", f"Its worker failed twice ({quarantined}); it is tried again with the next write.")
    if row is not None:
        reason = f"{row.reason}: {_REASONS.get(row.reason, 'It was not indexed.')}"
        named = detect_language(relative) if skip_reason_of(relative, marks) else ""
        return answer("skipped", reason + declared, None, row.language or named)
    if kind == "unreadable":
        return answer("skipped", f"unreadable: {_REASONS['unreadable']}")
    if exists and full.parent.resolve() != full.parent:  # It leads out of the root.
        return answer("skipped", f"symlink: {_REASONS['symlink']}")
    return answer("pending", unsure or "It is not read yet.") if exists else answer(*_MISSING)


def _kind(full: Path) -> str:
    """Return `directory`, `file` (links and all else), `missing`, or `unreadable`: a directory above hides which."""
    try:
        return "directory" if stat.S_ISDIR(full.lstat().st_mode) else "file"
    except PermissionError:
        return "unreadable"
    except (OSError, ValueError):
        return "missing"


def _refused(root: RootId, relative: str, reads: Reads, refused: Sequence[Mapping[ChunkId, str]]) -> str:
    """Return sentences on the file's chunks that a model refused; they are found by words only."""
    said = ""
    for reasons, which in zip(refused, _MODELS, strict=True):
        rows = [row for row in reads.chunk_lines(root, relative) if row[0] in reasons] if reasons else []
        for chunk, first, last in rows[:_SHOWN_CHUNKS]:
            said += f" Lines {first} to {last} (chunk {chunk.hex()}) have no vector of the {which}: {reasons[chunk]}"
        if len(rows) > _SHOWN_CHUNKS:
            said += f" The same holds for {len(rows) - _SHOWN_CHUNKS} more."
    return said


def _answer(
    path: str,
    root: str,
    state: str,
    reason: str,
    rule: IgnoreRule | None = None,
    language: str = "",
    chunks: int = 0,
    degraded: str = "",
) -> WhyResponse:
    return WhyResponse(path, root, state, reason, rule, language, chunks, degraded)
