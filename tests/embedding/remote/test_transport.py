"""One HTTP request to a server that misbehaves: each fault has its kind of error, and no secret shows in any."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from regend.embedding.remote import transport as transport_module
from regend.embedding.remote.transport import Transport
from regend.errors import EmbeddingError, ProviderRejectedError, ProviderUnavailableError
from tests.embedding.server import EmbeddingServer, serving
from tests.workers.dispatcher_rig import until

TEXT = "def secret_sauce(ingredients): return stir(ingredients)"
KEY = "sk-very-secret"


@pytest.fixture
async def server() -> AsyncIterator[EmbeddingServer]:
    async with serving() as started:
        yield started


async def post(
    server: EmbeddingServer, timeout_s: float = 10.0, url: str = "", key: str = KEY, text: str = TEXT
) -> Any:
    transport = Transport(timeout_s)
    try:
        return await transport.post(url or f"{server.url}/embeddings", b'{"input": []}', key, "Server", [text])
    finally:
        await transport.close()


async def failing(server: EmbeddingServer, **how: Any) -> EmbeddingError:
    with pytest.raises(EmbeddingError) as caught:
        await post(server, **how)
    return caught.value


async def test_the_request(server: EmbeddingServer) -> None:
    raw, _ = await post(server)
    assert raw.startswith(b'{"data"')
    sent = server.headers[0]
    assert sent["Authorization"] == f"Bearer {KEY}" and sent["User-Agent"].startswith("regend/")
    await post(server, key="")
    assert "Authorization" not in server.headers[1]


@pytest.mark.parametrize(
    ("status", "text", "kind"),
    [
        (400, "bad text", "refused"),
        (422, "?", "refused"),
        (424, "tokenizer", "refused"),
        (414, "", "refused"),
        (413, "", "too_large"),
        (400, "This model's maximum context length is 8192 tokens", "too_large"),
        (422, "Input validation error: `inputs` must have less than 512 tokens. Given: 785", "too_large"),
        (500, "input is too large to process. increase the physical batch size", "too_large"),
    ],
)
async def test_statuses_that_blame_the_texts(server: EmbeddingServer, status: int, text: str, kind: str) -> None:
    server.answer(lambda _: web.Response(status=status, text=text))
    error = await failing(server)
    assert isinstance(error, ProviderRejectedError) and error.kind == kind
    assert f"Server answered {status}" in str(error)


LONG = "This model's maximum context length is 512 tokens"


@pytest.mark.parametrize(
    ("said", "text", "kind"),
    [
        ("proxy: " * 100 + LONG, "x", "too_large"),
        (f'{{"input": "def f(): return 1", "message": "{LONG}"}}', "def f(): return 1", "too_large"),
        (f'{{"message": "{LONG}", "input": "def f(): return 1"}}', "def f(): return 1", "too_large"),
        ("too long", 'raise ValueError("too long")', "too_large"),
        ("Your input is too long", 'raise ValueError("too long")', "too_large"),
        ('bad input: raise ValueError("too long")', 'raise ValueError("too long")', "refused"),
        (r'{"bad": "raise E(\"too long\")"}', 'raise E("too long")', "refused"),
        ("x" * 5_000 + LONG, "y", "refused"),
    ],
)
async def test_a_server_that_says_too_long_among_other_words(
    server: EmbeddingServer, said: str, text: str, kind: str
) -> None:
    for status in (400, 422):
        server.answer(lambda _, status=status: web.Response(status=status, text=said))  # type: ignore[misc]
        error = await failing(server, text=text)
        assert (type(error), error.kind) == (ProviderRejectedError, kind)
        assert "def f" not in str(error)


async def test_a_stack_trace_blames_no_text(server: EmbeddingServer) -> None:
    server.answer(lambda _: web.Response(status=500, text="Traceback\n" * 50 + "run(max_tokens=512)"))
    assert type(await failing(server)) is ProviderUnavailableError


@pytest.mark.parametrize(
    ("status", "headers", "kind", "pause_s"),
    [
        (429, {}, "rate_limited", None),
        (429, {"Retry-After": "7"}, "rate_limited", 7.0),
        (503, {"Retry-After": "2"}, "failed", 2.0),
        (500, {}, "failed", None),
        (502, {}, "failed", None),
        (401, {}, "denied", None),
        (403, {}, "denied", None),
        (404, {}, "failed", None),
        (204, {}, "failed", None),
        (307, {"Location": "http://127.0.0.1:1/"}, "redirect", None),
        (301, {"Location": "/v1/embeddings"}, "redirect", None),
    ],
)
async def test_statuses_worth_a_later_try(
    server: EmbeddingServer, status: int, headers: dict[str, str], kind: str, pause_s: float | None
) -> None:
    server.answer(lambda _: web.Response(status=status, headers=headers))
    error = await failing(server)
    assert isinstance(error, ProviderUnavailableError) and (error.kind, error.retry_after_s) == (kind, pause_s)
    assert len(server.asked) == 1, "a redirect is not followed"


async def test_a_server_that_hangs(server: EmbeddingServer) -> None:
    server.delay_s = 30.0
    started_at = time.monotonic()
    error = await failing(server, timeout_s=0.2)
    assert error.kind == "timeout" and time.monotonic() - started_at < 5.0


async def test_a_body_that_drips(server: EmbeddingServer) -> None:
    async def drip(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(1_000):
            await response.write(b" ")
            await asyncio.sleep(0.02)
        return response

    server.respond = drip
    started_at = time.monotonic()
    error = await failing(server, timeout_s=0.3)
    assert error.kind == "timeout" and time.monotonic() - started_at < 5.0


async def test_a_body_that_breaks_off(server: EmbeddingServer) -> None:
    async def reset(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100000"})
        await response.prepare(request)
        await response.write(b'{"data": [')
        assert request.transport is not None
        request.transport.abort()
        return response

    server.respond = reset
    assert (await failing(server)).kind in ("truncated", "connection")


async def test_a_connection_that_is_reset_before_any_answer(server: EmbeddingServer) -> None:
    async def reset(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    server.respond = reset
    assert (await failing(server)).kind == "connection"


async def test_nobody_listens(server: EmbeddingServer) -> None:
    error = await failing(server, url="http://127.0.0.1:1/v1/embeddings")
    assert error.kind == "connection" and str(error).startswith("Server did not answer: ")


async def test_something_else_than_http_listens() -> None:
    async def gibberish(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"SSH-2.0-x\r\n")
        writer.close()

    other = await asyncio.start_server(gibberish, "127.0.0.1", 0)
    async with other:
        port = other.sockets[0].getsockname()[1]
        error = await failing(EmbeddingServer(), url=f"http://127.0.0.1:{port}/")
        assert isinstance(error, ProviderUnavailableError) and error.kind == "connection"


async def test_tls_that_fails(server: EmbeddingServer) -> None:
    error = await failing(server, url=f"https://127.0.0.1:{server.port}/v1/embeddings")
    assert error.kind == "tls" and isinstance(error.__cause__, (ssl.SSLError, OSError))


async def test_an_endless_answer(server: EmbeddingServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport_module, "MAX_ANSWER_BYTES", 300_000)
    server.answer(lambda _: web.Response(body=b" " * 400_000))
    error = await failing(server)
    assert error.kind == "too_large" and "more than 300000 bytes" in str(error)


async def test_the_key_is_in_no_message(server: EmbeddingServer) -> None:
    server.answer(lambda _: web.Response(status=401, text=f"wrong key: {KEY}!"))
    error = await failing(server)
    assert "wrong key: [key]!" in str(error) and "secret" not in repr(error)


@pytest.mark.parametrize("said", [f"cannot embed '{TEXT}'", TEXT[5:40]])
async def test_the_texts_are_in_no_message(server: EmbeddingServer, said: str) -> None:
    server.answer(lambda _: web.Response(status=400, text=said))
    error = await failing(server)
    assert "not shown" in str(error) and "sauce" not in str(error)


async def test_long_words_are_cut(server: EmbeddingServer) -> None:
    server.answer(lambda _: web.Response(status=500, text="<p>" * 1_000))
    assert len(str(await failing(server))) < 300


async def test_cancelled_while_it_waits(server: EmbeddingServer) -> None:
    server.delay_s = 30.0
    task = asyncio.create_task(post(server))
    await until(lambda: server.running == 1, "the request arrived")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
