"""A store in a fresh state directory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from regend.store.store import Store, open_store
from tests.store.samples import MODEL


@pytest.fixture(autouse=True, scope="package")
def _words_on_disk() -> Iterator[None]:
    """Give small pools lexical indexes on disk, too, where there is more that can go wrong."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("regend.store.memory.MEMORY_DOCS", 0)
        yield


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path / "state", MODEL)
    yield opened
    opened.close()
