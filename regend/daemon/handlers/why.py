"""`why FILE`: is this file indexed, and if not, which rule or error says so."""

from __future__ import annotations

from pathlib import Path

from regend.daemon.parts import Parts
from regend.disk.names import is_utf8
from regend.rpc.operation_messages import IgnoreRule, WhyResponse
from regend.types import RootId, Tier

_REASONS = {
    "too_large": "It is larger than `limits.max_file_bytes`.",
    "binary": "It is not text.",
    "minified": "Its lines are too long to be written by hand.",
    "generated": "It is generated.",
    "symlink": "It is a symbolic link; links are not followed.",
    "not_regular": "It is no regular file.",
    "unreadable": "It may not be read.",
    "name_not_utf8": "Its name is not valid UTF-8.",
}
_MISSING = "There is no such file."
_SHOWN_CHUNKS = 5


def explain_file(app: Parts, path: Path) -> WhyResponse:
    """Look at live state and the disk; runs in a thread.

    Args:
        path: absolute, without `.` and `..`.
    """
    found = app.roots.containing(path)
    if found is None:
        found = app.roots.containing(path.parent.resolve() / path.name)
    if found is None:
        return _answer(str(path), "", "outside", "It is in no root; add one that holds it with `regenctl add DIR`.")
    served, relative = found
    root = served.record.root
    if relative == "":
        return _answer(relative, served.path, "indexed", "It is the root itself.")
    full = served.identity.path / relative
    exists = full.is_symlink() or full.exists()
    is_dir = full.is_dir() and not full.is_symlink()
    decision = served.rules.decide(relative, is_dir)
    if decision.ignored:
        rule = IgnoreRule(decision.source, decision.line, decision.pattern)
        where = f"{decision.source}:{decision.line}" if decision.line else decision.source
        return _answer(relative, served.path, "ignored", f"`{decision.pattern}` in {where} excludes it.", rule)
    quarantined = app.driver.pipeline.quarantined.get((root, relative))
    if not is_utf8(relative):
        state, reason = ("skipped", f"name_not_utf8: {_REASONS['name_not_utf8']}") if exists else ("missing", _MISSING)
        return _answer(relative, served.path, state, reason)
    row = app.indexer.reads.file_row(root, relative)
    if is_dir:
        return _answer(relative, served.path, "indexed", "It is a directory that is not ignored.")
    if row is not None and row.state == "indexed":
        reason = f"It is searchable as {row.chunk_count} chunks.{_refused(app, root, relative)}"
        return _answer(
            relative, served.path, "indexed", reason, None, row.language, row.chunk_count, row.degraded_reason
        )
    if quarantined or (row is not None and row.reason.startswith("quarantined")):
        reason = quarantined or (row.reason if row is not None else "")
        reason = f"Its worker failed twice ({reason}); it is tried again when it changes."
        return _answer(relative, served.path, "quarantined", reason)
    if row is not None:
        reason = f"{row.reason}: {_REASONS.get(row.reason, 'It was not indexed.')}"
        return _answer(relative, served.path, "skipped", reason, None, row.language)
    if exists:
        return _answer(relative, served.path, "pending", "It was not read yet.")
    return _answer(relative, served.path, "missing", _MISSING)


def _refused(app: Parts, root: RootId, relative: str) -> str:
    """Which of a file's chunks are found by words only, because the model refused them, and why."""
    pipeline, said = app.driver.pipeline, ""
    for tier, which in ((Tier.FIRST, "model"), (Tier.UPGRADE, "stronger model")):
        refused = pipeline.given_up(tier)
        if not refused:
            continue
        rows = [row for row in app.indexer.reads.chunk_lines(root, relative) if row[0] in refused]
        for chunk, first, last in rows[:_SHOWN_CHUNKS]:
            said += f" Lines {first} to {last} (chunk {chunk.hex()}) have no vector of the {which}: {refused[chunk]}"
        if len(rows) > _SHOWN_CHUNKS:
            said += f" So it is with {len(rows) - _SHOWN_CHUNKS} more."
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
