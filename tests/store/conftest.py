"""A store in a fresh state directory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from regend.store.store import Store, open_store
from tests.store.samples import MODEL


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path / "state", MODEL)
    yield opened
    opened.close()
