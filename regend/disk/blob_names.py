"""How a file's content is named: scanner threads and worker processes must agree, so both ask here."""

from __future__ import annotations

from regend.chunking.detection import declared_language, detect_language
from regend.chunking.grammars import CHUNKER_VERSION
from regend.types import NOT_DECLARED, BlobId, Declared, blob_id


def name_blob(path: str, content: bytes, declared: Declared = NOT_DECLARED) -> tuple[BlobId, str]:
    """Return the blob's name and its language."""
    language = detect_language(path, content)
    if declared.language:
        language = declared_language(declared.language, language)
    return blob_id(content, language, CHUNKER_VERSION, declared.marks), language
