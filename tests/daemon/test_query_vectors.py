"""Vectors of queries: cached, asked together, never late, and never sent away with a secret in them."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from aiohttp import web

from regend.daemon import query_vectors as module
from regend.daemon.query_vectors import QueryVectors
from regend.embedding.remote.provider import HttpProvider
from tests.embedding.hashing import DIM, HashingEncoder
from tests.embedding.server import EmbeddingServer, good, items, serving
from tests.workers.dispatcher_rig import until


def expected(text: str) -> np.ndarray:
    return HashingEncoder().encode([text], "query")[0]


@pytest.fixture
async def server() -> AsyncIterator[EmbeddingServer]:
    async with serving() as started:
        yield started


@pytest.fixture
async def queries(server: EmbeddingServer) -> AsyncIterator[QueryVectors]:
    async with opened(server) as made:
        yield made


@asynccontextmanager
async def opened(server: EmbeddingServer, timeout_s: float = 5.0) -> AsyncIterator[QueryVectors]:
    provider = HttpProvider(server.config())
    queries = QueryVectors(provider, timeout_s)
    try:
        await provider.prepare()
        yield queries
    finally:
        await queries.close()
        await provider.close()


async def test_a_query(server: EmbeddingServer, queries: QueryVectors) -> None:
    first, again = await queries.vector("open socket"), await queries.vector("open socket")
    assert first is again and first is not None and first.shape == (DIM,) and not first.flags.writeable
    np.testing.assert_allclose(first, expected("open socket"), atol=1e-6)
    assert len(server.asked) == queries.counters.requests == 1


async def test_what_is_remembered_is_bounded(
    server: EmbeddingServer, queries: QueryVectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CACHED_QUERIES", 2)
    for query in ("a", "b", "a", "c", "a", "b"):
        await queries.vector(query)
    assert server.texts == [["a"], ["b"], ["c"], ["b"]]


def test_the_model_of_this_process_is_asked_once(server: EmbeddingServer) -> None:
    asked: list[str] = []

    def encode(text: str) -> np.ndarray:
        asked.append(text)
        return expected(text)

    encoded = QueryVectors(HttpProvider(server.config()), 5.0, encode).encoded
    assert encoded is not None
    first = encoded("open socket")
    assert encoded("open socket") is first and asked == ["open socket"] and not first.flags.writeable


def held_back(server: EmbeddingServer) -> asyncio.Event:
    """Hold all answers back until the event is set."""
    released = asyncio.Event()

    async def respond(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        await released.wait()
        return await good(request, body)

    server.respond = respond
    return released


async def test_equal_queries_are_asked_once(server: EmbeddingServer, queries: QueryVectors) -> None:
    released = held_back(server)
    asking = asyncio.gather(*(queries.vector("same") for _ in range(10)))
    await until(lambda: server.running == 1, "the request arrived")
    released.set()
    vectors = await asking
    assert server.texts == [["same"]] and all(vector is vectors[0] for vector in vectors)


async def test_queries_at_the_same_time_share_requests(server: EmbeddingServer, queries: QueryVectors) -> None:
    released = held_back(server)
    texts = [f"query {n}" for n in range(20)]
    asking = asyncio.gather(*(queries.vector(text) for text in texts))
    await until(lambda: server.running == 2, "two requests arrived")
    released.set()
    np.testing.assert_allclose(np.stack(await asking), HashingEncoder().encode(texts, "query"), atol=1e-6)  # type: ignore[arg-type]
    assert [len(asked) for asked in server.texts] == [1, 1, 18]


async def test_a_query_does_not_wait_long_and_what_is_late_is_remembered(server: EmbeddingServer) -> None:
    released = held_back(server)
    async with opened(server, timeout_s=0.0) as queries, asyncio.timeout(30.0):
        assert await queries.vector("x") is None and queries.counters.failures == 1
        await until(lambda: server.running == 1, "the request arrived all the same")
        assert await queries.vector("x") is None
        released.set()
        while await queries.vector("x") is None:
            pass  # Each question gives up at once, until the answer to the first one is there.
        assert server.texts == [["x"]], "the first request was waited for, not made again"


async def test_a_refused_query_has_no_vector(server: EmbeddingServer, queries: QueryVectors) -> None:
    server.answer(lambda texts: web.Response(status=400))
    assert await queries.vector("x") is None and queries.counters.failures == 1
    server.answer(lambda texts: web.json_response({"data": items(texts)}))
    assert await queries.vector("x") is not None


async def test_a_secret_stays_here(server: EmbeddingServer) -> None:
    provider = HttpProvider(server.config())
    provider.info = dataclasses.replace(provider.info, local=False)
    queries = QueryVectors(provider, 5.0)
    assert await queries.vector("where is AKIAZ7Q2M4X9L1K8J3H5 used") is None
    assert server.asked == []
    await queries.close()
    await provider.close()


async def test_a_bug_in_a_provider_costs_one_vector(
    server: EmbeddingServer, queries: QueryVectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise KeyError("oops")

    monkeypatch.setattr(HttpProvider, "embed", broken)
    assert await queries.vector("x") is None


async def test_closed_while_one_is_asked(server: EmbeddingServer) -> None:
    async with opened(server) as queries:
        held_back(server)
        task = asyncio.create_task(queries.vector("x"))
        await until(lambda: server.running == 1, "the request arrived")
    assert await task is None
