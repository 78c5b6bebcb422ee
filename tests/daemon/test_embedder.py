"""The embedder: a bad text costs only itself, a bad server nothing but time, and queries do not wait long."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import numpy as np
import pytest
from aiohttp import web

from regend.config import EmbeddingConfig
from regend.core.commands import Embed
from regend.core.events import Embedded, EmbedFailed
from regend.daemon.embedder import HARMLESS_TEXT, REFUSED_PAUSE_S, Embedder
from regend.embedding.registry import open_provider
from regend.embedding.remote.provider import HttpProvider
from regend.embedding.static import built_in
from regend.errors import StoreError
from regend.types import ChunkId, Lane
from tests import canary
from tests.embedding.hashing import DIM, HashingEncoder
from tests.embedding.server import EmbeddingServer, items, serving
from tests.workers.dispatcher_rig import running, until


def chunk_ids(count: int) -> tuple[ChunkId, ...]:
    return tuple(ChunkId(n.to_bytes(16, "big")) for n in range(count))


def command(count: int) -> Embed:
    return Embed(7, chunk_ids(count), 100, Lane.BULK)


def texts_of(texts: Sequence[str]) -> Callable[[Sequence[ChunkId]], list[str]]:
    """A store of these texts, which also sees that it is asked in a thread."""

    def fetch(chunks: Sequence[ChunkId]) -> list[str]:
        assert threading.current_thread() is not threading.main_thread()
        return [texts[int.from_bytes(chunk, "big")] for chunk in chunks]

    return fetch


def expected(texts: Sequence[str]) -> np.ndarray:
    return HashingEncoder().encode(texts, "document")


@pytest.fixture
async def server() -> AsyncIterator[EmbeddingServer]:
    async with serving() as started:
        yield started


def open_embedder(server: EmbeddingServer, texts: Sequence[str]) -> Embedder:
    return Embedder(HttpProvider(server.config()), texts_of(texts))


def poison(status: int = 400) -> Callable[[list[str]], web.StreamResponse]:
    """Refuse every request with a text that says POISON."""

    def respond(texts: list[str]) -> web.StreamResponse:
        if any("POISON" in text for text in texts):
            return web.Response(status=status, text="bad text")
        return web.json_response({"data": items(texts)})

    return respond


async def test_a_batch(server: EmbeddingServer) -> None:
    texts = ["def a(): pass", "def b(): pass"]
    embedder = open_embedder(server, texts)
    answer = await embedder.run(command(2))
    assert isinstance(answer, Embedded) and (answer.batch_id, answer.failed) == (7, ())
    np.testing.assert_allclose(np.asarray(answer.vectors), expected(texts), atol=1e-6)
    counters = embedder.counters
    assert (counters.embedded_chunks, counters.requests, counters.tokens, counters.failures) == (2, 1, 100, 0)
    assert counters.request_s > 0.0
    await embedder.close()


@pytest.mark.parametrize("count", [1, 2, 3, 9, 16])
@pytest.mark.parametrize("where", ["first", "last", "both ends", "middle", "all", "every other"])
async def test_only_the_poison_fails(server: EmbeddingServer, count: int, where: str) -> None:
    bad = {
        "first": {0},
        "last": {count - 1},
        "both ends": {0, count - 1},
        "middle": {count // 2},
        "all": set(range(count)),
        "every other": set(range(0, count, 2)),
    }[where]
    texts = [f"POISON {n}" if n in bad else f"def good_{n}(): pass" for n in range(count)]
    server.answer(poison())
    embedder = open_embedder(server, texts)
    answer = await embedder.run(command(count))
    assert isinstance(answer, Embedded)
    assert {int.from_bytes(chunk, "big") for chunk, _ in answer.failed} == bad
    assert all("bad text" in reason for _, reason in answer.failed)
    good = [text for text in texts if "POISON" not in text]
    vectors = answer.vectors
    assert isinstance(vectors, np.ndarray) and vectors.shape == (len(good), DIM) and vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, expected(good).reshape(-1, DIM), atol=1e-6)
    assert [HARMLESS_TEXT] in server.texts
    await embedder.close()


@pytest.mark.parametrize("where", range(0, 64, 9))
async def test_finding_the_poison_takes_few_requests(server: EmbeddingServer, where: int) -> None:
    """Once the provider has proven to work: the batch, log2(64) halves, the poison alone, and its company."""
    texts = [f"POISON {n}" if n == where else f"def good_{n}(): pass" for n in range(64)]
    server.answer(poison())
    embedder = open_embedder(server, texts)
    await embedder.run(Embed(1, chunk_ids(64)[where + 1 :] or chunk_ids(1), 1, Lane.BULK))
    before = len(server.asked)
    answer = await embedder.run(command(64))
    assert isinstance(answer, Embedded) and len(answer.failed) == 1
    counters = embedder.counters
    assert len(server.asked) - before <= 1 + 6 + counters.retries and counters.retries <= 2
    assert counters.requests == len(server.asked) and counters.splits == 6
    await embedder.close()


async def test_three_poisons_in_a_thousand(server: EmbeddingServer) -> None:
    bad = {100, 101, 700}
    texts = [f"POISON {n}" if n in bad else f"def good_{n}(): pass" for n in range(1_000)]
    server.answer(poison())
    embedder = open_embedder(server, texts)
    ids, failed, stored = chunk_ids(1_000), set[ChunkId](), 0
    for start in range(0, 1_000, 64):
        answer = await embedder.run(Embed(start, ids[start : start + 64], 1, Lane.BULK))
        assert isinstance(answer, Embedded) and not answer.unanswered
        failed |= {chunk for chunk, _ in answer.failed}
        stored += len(np.asarray(answer.vectors))
    assert failed == {ids[n] for n in bad} and stored == 997
    assert len(server.asked) <= 3 * 6 + 16 + embedder.counters.retries
    assert len(server.asked) <= 3 * 6 + 16 + 6, "however they are counted"
    await embedder.close()


async def test_very_much_poison_is_not_halved_for_ever(server: EmbeddingServer) -> None:
    texts = [f"POISON {n}" for n in range(64)]
    server.answer(poison())
    embedder = open_embedder(server, texts)
    answer = await embedder.run(command(64))
    assert isinstance(answer, Embedded) and len(answer.failed) == 64
    assert len(server.asked) < 4 * 64
    await embedder.close()


@pytest.mark.parametrize("count", [1, 5])
async def test_a_server_that_refuses_everything_costs_no_chunk(server: EmbeddingServer, count: int) -> None:
    """A wrong dimension, say: nothing is given up, and little is asked."""
    server.answer(lambda texts: web.json_response({"data": [{"embedding": [1.0, 2.0]} for _ in texts]}))
    embedder = open_embedder(server, ["x"] * count)
    answer = await embedder.run(command(count))
    assert isinstance(answer, EmbedFailed) and answer.retry_after_s == REFUSED_PAUSE_S
    assert "length 2, not 256" in answer.reason
    assert len(server.asked) == 2
    await embedder.close()


@pytest.mark.parametrize(("headers", "expected_s"), [({}, 0.0), ({"Retry-After": "4"}, 4.0)])
async def test_unavailable(server: EmbeddingServer, headers: dict[str, str], expected_s: float) -> None:
    server.answer(lambda texts: web.Response(status=429, headers=headers))
    embedder = open_embedder(server, ["x"])
    answer = await embedder.run(command(1))
    assert isinstance(answer, EmbedFailed) and answer.retry_after_s == expected_s and "429" in answer.reason
    assert embedder.counters.failures == 1
    await embedder.close()


async def test_unavailable_while_looking_for_the_poison(server: EmbeddingServer) -> None:
    """The embedder keeps the vectors that it got, so that the user does not pay for them twice."""
    texts = ["a", "b", "c", "POISON"]

    def respond(texts: list[str]) -> web.StreamResponse:
        if len(server.asked) > 3:
            return web.Response(status=503, headers={"Retry-After": "7"})
        return poison()(texts)

    server.answer(respond)
    embedder = open_embedder(server, texts)
    answer = await embedder.run(command(4))
    assert isinstance(answer, Embedded) and answer.failed == ()
    assert answer.unanswered == chunk_ids(4)[2:] and answer.retry_after_s == 7.0 and "503" in answer.reason
    np.testing.assert_allclose(np.asarray(answer.vectors), expected(["a", "b"]), atol=1e-6)
    await embedder.close()


async def test_a_provider_that_turns_bad_costs_no_chunk(server: EmbeddingServer) -> None:
    texts = [f"def good_{n}(): pass" for n in range(64)]
    embedder = open_embedder(server, texts)
    assert isinstance(await embedder.run(command(64)), Embedded)
    server.answer(lambda texts: web.Response(status=400, text="no"))
    answer = await embedder.run(command(64))
    assert isinstance(answer, EmbedFailed) and answer.retry_after_s == REFUSED_PAUSE_S
    await embedder.close()


async def test_what_looks_like_a_secret_does_not_leave_the_machine(server: EmbeddingServer) -> None:
    server.is_remote = True
    texts = ["def a(): pass", f"key = '{canary.SECRET}'", "def b(): pass"]
    provider = HttpProvider(server.config())
    provider.info = dataclasses.replace(provider.info, local=False)
    embedder = Embedder(provider, texts_of(texts))
    answer = await embedder.run(command(3))
    assert isinstance(answer, Embedded) and len(answer.failed) == 1
    assert answer.failed[0][0] == chunk_ids(3)[1] and "AWS key" in answer.failed[0][1]
    assert canary.SECRET not in str(server.asked) + str(answer) and embedder.counters.withheld == 1
    np.testing.assert_allclose(np.asarray(answer.vectors), expected([texts[0], texts[2]]), atol=1e-6)
    await embedder.close()


async def test_nothing_is_withheld_from_a_server_on_this_machine(server: EmbeddingServer) -> None:
    texts = ["key = 'AKIAZ7Q2M4X9L1K8J3H5'"]
    embedder = open_embedder(server, texts)
    answer = await embedder.run(command(1))
    assert isinstance(answer, Embedded) and answer.failed == () and server.texts == [texts]
    await embedder.close()


async def test_the_learnt_factor_comes_along(server: EmbeddingServer) -> None:
    embedder = open_embedder(server, ["x" * 700])
    answer = await embedder.run(command(1))
    assert isinstance(answer, Embedded) and answer.token_factor == 1.0
    await embedder.close()


async def test_the_store_fails(server: EmbeddingServer) -> None:
    def fetch(chunks: Sequence[ChunkId]) -> list[str]:
        raise StoreError("The disk is full.")

    embedder = Embedder(HttpProvider(server.config()), fetch)
    answer = await embedder.run(command(1))
    assert answer == EmbedFailed(7, "The disk is full.", REFUSED_PAUSE_S) and server.asked == []
    await embedder.close()


async def test_a_bug_in_a_provider_is_an_answer() -> None:
    class Faulty:
        info = HashingEncoder.info

        async def prepare(self) -> Any:
            return self.info

        def status(self) -> dict[str, Any]:
            return {}

        async def embed(self, texts: Sequence[str], task: str, lane: Lane = Lane.BULK) -> Any:
            raise KeyError("oops")

        async def close(self) -> None: ...

    answer = await Embedder(Faulty(), texts_of(["x"])).run(command(1))
    assert answer == EmbedFailed(7, "KeyError: 'oops'", REFUSED_PAUSE_S)


async def test_cancelled(server: EmbeddingServer) -> None:
    released = asyncio.Event()

    async def hang(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        await released.wait()
        return web.Response()

    server.respond = hang
    embedder = open_embedder(server, ["x"])
    task = asyncio.create_task(embedder.run(command(1)))
    await until(lambda: server.asked, "the request arrived")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    released.set()
    await embedder.close()


async def test_a_worker_killed_while_embedding_costs_no_chunk() -> None:
    texts = [f"def function_{n}(a, b): return a + b * {n}\n" * 1_000 for n in range(30)]
    async with running() as workers:
        embedder = Embedder(open_provider(EmbeddingConfig(), workers.embed), texts_of(texts))
        task = asyncio.create_task(embedder.run(command(30)))
        await until(lambda: workers.status()[0].state == "busy", "the worker is busy")
        os.kill(workers.status()[0].pid, signal.SIGKILL)
        answer = await task
    assert isinstance(answer, Embedded) and answer.failed == () and workers.restarts == 1
    np.testing.assert_allclose(np.asarray(answer.vectors), built_in().encode(texts, "document"), atol=1e-6)
