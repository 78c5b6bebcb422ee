"""Shared stores to test: a server for the whole session, and a fresh database for each store."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from tests.sharing.server import Server, pooled, serving

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    with serving("fsync=off", "shared_buffers=32MB", "max_connections=40") as server:
        yield server


@pytest.fixture
def database(postgres: Server) -> str:
    """The name of a new, empty database."""
    name = f"t{next(_NUMBERS)}"
    postgres.sql(f"CREATE DATABASE {name}")
    return name


@pytest.fixture(scope="session")
def pooler(postgres: Server) -> Iterator[Server]:
    """The same server, through PgBouncer."""
    with pooled(postgres) as found:
        yield found
