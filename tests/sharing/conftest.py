"""Shared stores to test: a server for the whole session, and a fresh database for each store."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.sharing.colleagues import health_of
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


@pytest.fixture(params=[pytest.param("sqlite", marks=pytest.mark.slow), "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        found = f"sqlite://{tmp_path}/shared.db"
    else:
        pytest.importorskip("asyncpg", reason="the package `asyncpg` is missing")
        found = request.getfixturevalue("postgres").dsn(request.getfixturevalue("database"))
    health_of(found)
    return found


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened
