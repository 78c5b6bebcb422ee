"""How a file's content is named: scanner threads and worker processes must agree, so both ask here."""

from __future__ import annotations

from regend.chunking.detection import detect_language
from regend.chunking.grammars import CHUNKER_VERSION
from regend.types import BlobId, blob_id


def name_blob(path: str, content: bytes) -> tuple[BlobId, str]:
    """Return the blob's name and its language."""
    language = detect_language(path, content)
    return blob_id(content, language, CHUNKER_VERSION), language
