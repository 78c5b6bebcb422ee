"""Every fault of a server, with every kind of server: one typed outcome each, nothing secret in it, and then it passes.

The server repeats the key and the texts in its error messages.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from aiohttp import web

from regend.embedding.remote.provider import HttpProvider
from regend.errors import EmbeddingError, ProviderRejectedError, ProviderUnavailableError
from tests import canary
from tests.embedding.hashing import HashingEncoder
from tests.embedding.server import PATHS, EmbeddingServer, Respond, good, serving, texts_in, vectors_of

TEXTS = ["def one(): pass", f"password = '{canary.SECRET}'", "def three(): pass"]
Rows = list[Any]


@dataclass(frozen=True)
class Fault:
    """A way to answer, and what becomes of it. `kinds`: any of them."""

    respond: Respond
    error: type[EmbeddingError]
    kinds: tuple[str, ...]
    pause_s: float | None = None


def says(status: int, **headers: str) -> Respond:
    async def respond(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        text = f"{request.headers.get('Authorization')} may not ask for {texts_in(body)}"
        return web.Response(status=status, headers=headers, text=text)

    return respond


def answers(change: Callable[[Rows], Rows], indexes: list[int] | None = None, cut: bool = False) -> Respond:
    """Right in form, as the server of that path writes it, with other vectors; `cut`: half of it."""

    async def respond(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        rows = change(vectors_of(texts_in(body)))
        numbers = indexes or range(len(rows))
        answer: object = {"data": [{"index": n, "embedding": row} for n, row in zip(numbers, rows, strict=True)]}
        if request.path == "/api/embed":
            answer = {"embeddings": rows}
        elif request.path == "/embed":
            answer = rows
        elif request.path == "/embedding":
            answer = [{"index": n, "embedding": [row]} for n, row in zip(numbers, rows, strict=True)]
        written = json.dumps(answer)
        return web.Response(text=written[: len(written) // 2] if cut else written, content_type="application/json")

    return respond


async def hang(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    await asyncio.sleep(30.0)
    return web.Response()


async def drip(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(1_000):
        await response.write(b" ")
        await asyncio.sleep(0.02)
    return response


async def reset(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def reset_within(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "100000"})
    await response.prepare(request)
    await response.write(b'{"data": [')
    return await reset(request, body)


Away, Wrong = ProviderUnavailableError, ProviderRejectedError
FAULTS = {
    "429": Fault(says(429), Away, ("rate_limited",)),
    "429 with Retry-After": Fault(says(429, **{"Retry-After": "0.2"}), Away, ("rate_limited",), 0.2),
    "500": Fault(says(500), Away, ("failed",)),
    "503": Fault(says(503), Away, ("failed",)),
    "503 with Retry-After": Fault(says(503, **{"Retry-After": "0.2"}), Away, ("failed",), 0.2),
    "400": Fault(says(400), Wrong, ("refused",)),
    "401": Fault(says(401), Away, ("denied",)),
    "redirect": Fault(says(307, Location="http://127.0.0.1:1/steal"), Away, ("redirect",)),
    "hang": Fault(hang, Away, ("timeout",)),
    "slow drip": Fault(drip, Away, ("timeout",)),
    "reset": Fault(reset, Away, ("connection",)),
    "reset within the body": Fault(reset_within, Away, ("truncated", "connection")),
    "truncated JSON": Fault(answers(lambda rows: rows, cut=True), Away, ("not_json",)),
    "short": Fault(answers(lambda rows: rows[:-1]), Wrong, ("count",)),
    "long": Fault(answers(lambda rows: [*rows, rows[0]]), Wrong, ("count",)),
    "duplicated": Fault(answers(lambda rows: rows + rows), Wrong, ("count",)),
    "wrong dimension": Fault(answers(lambda rows: [row[:7] for row in rows]), Wrong, ("dimension",)),
    "one of another dimension": Fault(answers(lambda rows: [*rows[:-1], rows[0][:7]]), Wrong, ("dimension",)),
    "NaN": Fault(answers(lambda rows: [*rows[:-1], [float("nan")] * 256]), Wrong, ("not_finite",)),
    "infinity": Fault(answers(lambda rows: [*rows[:-1], [1e300] * 256]), Wrong, ("not_finite",)),
    "zeros": Fault(answers(lambda rows: [*rows[:-1], [0.0] * 256]), Wrong, ("zero",)),
    "invalid base64": Fault(answers(lambda rows: ["!" * 1_368 for _ in rows]), Wrong, ("encoding",)),
    "half a number in base64": Fault(answers(lambda rows: ["AAAAAAA=" for _ in rows]), Wrong, ("encoding",)),
    "no vectors at all": Fault(answers(lambda rows: [None for _ in rows]), Wrong, ("encoding",)),
}
INDEXED = [kind for kind in PATHS if kind not in ("ollama", "tei")]


@pytest.fixture
async def server() -> AsyncIterator[EmbeddingServer]:
    async with serving() as started:
        yield started


async def asking(
    server: EmbeddingServer, kind: str, ask: Callable[[HttpProvider], Awaitable[None]], timeout_s: float = 10.0
) -> None:
    config = server.config(kind, timeout_s=timeout_s)
    provider = HttpProvider(config)
    try:
        await provider.prepare()
        await ask(provider)
    finally:
        await provider.close()


async def embeds(provider: HttpProvider) -> None:
    vectors = await provider.embed(TEXTS, "document")
    np.testing.assert_allclose(vectors, HashingEncoder().encode(TEXTS, "document"), atol=1e-6)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("kind", PATHS)
async def test_a_fault_is_typed_and_passes(server: EmbeddingServer, kind: str, fault: Fault) -> None:
    async def ask(provider: HttpProvider) -> None:
        server.respond = fault.respond
        with pytest.raises(fault.error) as caught:
            await provider.embed(TEXTS, "document")
        error = caught.value
        assert error.kind in fault.kinds and str(error).startswith(f"Embedding server {server.origin} ")
        assert getattr(error, "retry_after_s", None) == fault.pause_s
        assert len(server.asked) == 1, "and a redirect was not followed"
        server.respond = good
        await embeds(provider)

    await asking(server, kind, ask, timeout_s=1.0 if "timeout" in fault.kinds else 10.0)
    assert all(headers["Authorization"] == f"Bearer {canary.KEY}" for headers in server.headers)


@pytest.mark.parametrize("kind", INDEXED)
async def test_another_order_that_is_told(server: EmbeddingServer, kind: str) -> None:
    server.respond = answers(lambda rows: rows[::-1], [2, 1, 0])
    await asking(server, kind, embeds)


@pytest.mark.parametrize("indexes", [[0, 0, 2], [0, 1, 3], [-1, 0, 1]])
@pytest.mark.parametrize("kind", INDEXED)
async def test_wrong_indexes(server: EmbeddingServer, kind: str, indexes: list[int]) -> None:
    async def ask(provider: HttpProvider) -> None:
        with pytest.raises(ProviderRejectedError) as caught:
            await provider.embed(TEXTS, "document")
        assert caught.value.kind == "order"

    server.respond = answers(lambda rows: rows, indexes)
    await asking(server, kind, ask)


@pytest.mark.parametrize("kind", ["ollama", "tei"])
async def test_another_order_that_is_not_told_is_found_by_the_probe(server: EmbeddingServer, kind: str) -> None:
    """Then texts are sent one by one."""
    server.respond = server.respond_probe = answers(lambda rows: rows[::-1])
    await asking(server, kind, embeds)
    assert {len(texts) for texts in server.texts} == {1}


@pytest.mark.parametrize("kind", PATHS)
async def test_tls_that_fails(server: EmbeddingServer, kind: str) -> None:
    url = f"https://127.0.0.1:{server.port}{PATHS[kind]}"
    provider = HttpProvider(server.config(kind, urls=(url,)))
    with pytest.raises(ProviderUnavailableError) as caught:
        await provider.embed(TEXTS, "document")
    assert caught.value.kind == "tls" and server.headers == []
    await provider.close()
