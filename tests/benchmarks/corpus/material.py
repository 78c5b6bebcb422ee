"""Material for makers of questions, from texts by path."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from benchmarks.corpus.material import Material, Question
from benchmarks.corpus.mirrors import Commit


def material_of(files: Mapping[str, str], *commits: tuple[str, str, tuple[str, ...]]) -> Material:
    """Make material; commits are (hash, subject, changed paths)."""
    made = [Commit(object_id, "Ann", subject, "", changed, ()) for object_id, subject, changed in commits]
    return Material("owner+name", {path: text.encode() for path, text in files.items()}, made)


def asked(maker: Callable[[Material], list[Question]], material: Material) -> dict[str, tuple[object, ...]]:
    """Return targets by query: paths, or (path, first line, last line)."""
    return {
        question.query: tuple(
            target if isinstance(target, str) else (target.path, target.start_line, target.end_line)
            for target in question.targets
        )
        for question in maker(material)
    }
