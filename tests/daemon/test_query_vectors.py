"""Vectors of queries: cached, asked together, never late, and never sent away with a secret in them."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest
from aiohttp import web

from regend.daemon import query_vectors as module
from regend.daemon.query_vectors import QueryVectors
from regend.embedding.remote.provider import HttpProvider
from tests.embedding.hashing import DIM, HashingEncoder
from tests.embedding.server import EmbeddingServer, items, serving
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


async def test_equal_queries_are_asked_once(server: EmbeddingServer, queries: QueryVectors) -> None:
    server.delay_s = 0.05
    vectors = await asyncio.gather(*(queries.vector("same") for _ in range(10)))
    assert server.texts == [["same"]] and all(vector is vectors[0] for vector in vectors)


async def test_queries_at_the_same_time_share_requests(server: EmbeddingServer, queries: QueryVectors) -> None:
    server.delay_s = 0.05
    texts = [f"query {n}" for n in range(20)]
    vectors = await asyncio.gather(*(queries.vector(text) for text in texts))
    np.testing.assert_allclose(np.stack(vectors), HashingEncoder().encode(texts, "query"), atol=1e-6)  # type: ignore[arg-type]
    assert [len(asked) for asked in server.texts] == [1, 1, 18]


async def test_a_query_does_not_wait_long(server: EmbeddingServer) -> None:
    released = asyncio.Event()

    async def hang(request: web.Request, body: dict[str, list[str]]) -> web.StreamResponse:
        await released.wait()
        return web.json_response({"data": items(body["input"])})

    server.respond = hang
    async with opened(server, timeout_s=0.1) as queries:
        assert await queries.vector("x") is None
        assert queries.counters.failures == 1
        released.set()
        assert await queries.vector("x") is not None
        assert server.texts == [["x"]], "the first request was waited for, not made again"


async def test_what_is_late_is_remembered(server: EmbeddingServer) -> None:
    server.delay_s = 0.3
    async with opened(server, timeout_s=0.1) as queries:
        assert await queries.vector("x") is None
        await until(lambda: not server.running, "the answer was sent")
        await asyncio.sleep(0.05)
        assert await queries.vector("x") is not None and len(server.asked) == 1


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
        server.delay_s = 30.0
        task = asyncio.create_task(queries.vector("x"))
        await until(lambda: server.running == 1, "the request arrived")
    assert await task is None
