"""Chunk a file. Pure: bytes in, value out, no error for any content.

Files that no person wrote or reads are skipped; the others are parsed, and `cutter` cuts them along their definitions.
"""

from __future__ import annotations

import re
from dataclasses import replace

from regend.chunking import notebooks
from regend.chunking.cutter import Cutter
from regend.chunking.decoding import decode
from regend.chunking.grammars import CHUNKER_VERSION, TEXT
from regend.chunking.structure import structure_of, structure_of_notebook
from regend.chunking.symbols import Definition
from regend.config import LimitConfig
from regend.types import GENERATED, MAX_CHUNKS_PER_BLOB, ChunkedFile, StatSig, blob_id

MINIFIED_FACTOR = 10
"""A line this many times longer than `max_line_bytes` was not written by hand: the file is skipped."""
GENERATED_HEAD_CHARS = 1_000
_LFS_POINTER = re.compile(rb"version https://(?:git-lfs|hawser)\.github\.com/spec/v\d+\n(?:.*\n)*?oid \w+:[0-9a-f]+\n")
_LFS_POINTER_BYTES = 1_024
"""A pointer is smaller than this; so says its specification."""
_GENERATED_LINES = 20
_COMMENT_STARTS = ("#", "//", "/*", "*", "--", ";", "<!--", "%", '"', "'", "(*", "{-")
_COMMENT_SIGNS = "#/*-;<!>%\"'({ )}="
_SETTING = re.compile(r"^#!|coding[:=]|vim?:")
_GENERATED_TAG = re.compile(r"@generated(?:$|[.,;:)<]|\s+(?:by|from|with|using|automatically|signedsource)\b)")
_GENERATED = re.compile(
    r"""
    (?:(?:warning|note|attention|caution|important)\W+)?
    (?:
      do\ not\ (?:edit|modify|change)\b.{0,100}\bgenerated\b
      | (?:(?:this|the)\ (?:\w+\ ){0,2}(?:is|was|has\ been)\ (?:an?\ )?|(?:code|file)\ )?
        (?:
          (?:auto(?:matically)?[-\ ]?|machine[-\ ])generated
          (?:\ (?:file|code|source))?(?:$|[.,;:!)]|\ (?:by|from|with|using|on|at|do)\b)
          | (?:auto(?:matically)?[-\ ]?)?generated\b.{0,200}\bdo\ not\ (?:edit|modify|change)\b
        )
      | (?:this|the)\ (?:\w+\ )?(?:file|code|module|source)\ (?:is|was|has\ been)\ generated
        \ (?:by|from|with|using|automatically)\b
    )
    """,
    re.VERBOSE,
)
"""The beginning of a sentence, in lower case; a file that only speaks of generated code says so elsewhere."""


def chunk_content(content: bytes, language: str, sig: StatSig, limits: LimitConfig, marks: str = "") -> ChunkedFile:
    """Chunk one file.

    Args:
        content: the bytes as read; the blob is named by them.
        language: from `detection.detect_language`.
        sig: handed through to the result.
        marks: as `Declared` has them.

    Returns:
        Chunks that cover every line which is not blank, in order, disjoint unless `limits.overlap_lines` asks for
        overlap; or a `skip_reason`: ``lfs_pointer``, ``binary``, ``minified``, ``too_large``, ``too_many_chunks``.
    """
    blob = blob_id(content, language, CHUNKER_VERSION, marks)
    empty = ChunkedFile(blob, sig, language, 0, (), ())
    if is_lfs_pointer(content):
        return replace(empty, skip_reason="lfs_pointer")
    if len(content) > limits.max_file_bytes and language != notebooks.LANGUAGE:
        return replace(empty, skip_reason="too_large")
    decoded = decode(content)
    if decoded.skip_reason:
        return replace(empty, skip_reason=decoded.skip_reason)
    notebook = notebooks.notebook_of(decoded.text) if language == notebooks.LANGUAGE else None
    lines = notebook.lines if notebook else decoded.text.split("\n")
    if language == notebooks.LANGUAGE and sum(map(len, lines)) > limits.max_file_bytes:
        return replace(empty, skip_reason="too_large")
    if lines and lines[-1] == "":
        lines.pop()
    empty = replace(empty, line_count=len(lines))
    longest = max(map(len, lines), default=0)
    if longest > limits.max_line_bytes * MINIFIED_FACTOR:
        return replace(empty, skip_reason="minified")
    definitions: list[Definition] = []
    degraded = decoded.degraded_reason
    if longest > limits.max_line_bytes:
        degraded = degraded or "long_lines"
    elif notebook:
        definitions = structure_of_notebook(notebook, limits.parse_timeout_s)
    else:
        found = structure_of(decoded.text, language, limits.parse_timeout_s)
        if found is None:
            degraded = degraded or "parse_timeout"
        else:
            definitions = found
    chunks = Cutter(lines, limits).cut(definitions, "window" if not definitions and language == TEXT else "block")
    if len(chunks) >= MAX_CHUNKS_PER_BLOB:
        return replace(empty, skip_reason="too_many_chunks")
    symbols = tuple(dict.fromkeys(d.symbol() for d in definitions if not d.scope_only))
    if GENERATED not in marks and is_generated(decoded.text, language):
        degraded = GENERATED
    return replace(empty, chunks=chunks, symbols=symbols, degraded_reason=f"{degraded} {marks}".strip())


def is_lfs_pointer(content: bytes) -> bool:
    """Tell whether Git LFS keeps the content elsewhere (https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md)."""
    return len(content) < _LFS_POINTER_BYTES and _LFS_POINTER.match(content) is not None


def is_generated(text: str, language: str = "") -> bool:
    """Tell whether a comment in the first lines says that a tool wrote the file, and does not only speak of such."""
    head = text[:GENERATED_HEAD_CHARS].lower()
    if "generated" not in head:
        return False
    starts = "<!--" if language == "markdown" else _COMMENT_STARTS
    lines = [line.strip() for line in head.split("\n")[:_GENERATED_LINES]]
    said = [
        line.strip(_COMMENT_SIGNS) if line.startswith(starts) and not _SETTING.search(line) else "" for line in lines
    ]
    if any(_GENERATED_TAG.match(line) for line in said):
        return True
    for paragraph in "\n".join(said).split("\n\n"):
        sentences = re.split(r"(?<=[.!:;])\s+", " ".join(paragraph.split()))
        if any(_GENERATED.match(" ".join(sentences[at : at + 3])) for at in range(len(sentences))):
            return True
    return False
