"""The HTTP provider against a real server that misbehaves: each fault has its error, and the key shows nowhere."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import numpy as np
import pytest
from aiohttp import web

from regend.config import EmbeddingConfig
from regend.embedding import http
from regend.embedding.hashing import DIM, HashingEncoder
from regend.embedding.http import HttpProvider, is_loopback_url
from regend.errors import ConfigError, ProviderRejectedError, ProviderUnavailableError
from tests.embedding.server import EmbeddingServer, items, serving

TEXTS = ["def one(): pass", "def two(): pass", "def three(): pass"]
EXPECTED = HashingEncoder().encode(TEXTS, "document")


@pytest.fixture
async def server() -> AsyncIterator[EmbeddingServer]:
    async with serving() as started:
        yield started


@pytest.fixture
async def provider(server: EmbeddingServer) -> AsyncIterator[HttpProvider]:
    opened = HttpProvider(server.config())
    yield opened
    await opened.close()


def changed(number: int, value: Any) -> Callable[[list[str]], web.StreamResponse]:
    """A right answer but for one number of the second vector."""

    def respond(texts: list[str]) -> web.StreamResponse:
        data = items(texts)
        data[1]["embedding"][number] = value
        return web.Response(text=json.dumps({"data": data}), content_type="application/json")

    return respond


def data_of(change: Callable[[list[dict[str, Any]]], Any]) -> Callable[[list[str]], web.StreamResponse]:
    return lambda texts: web.json_response({"data": change(items(texts))})


async def test_the_request(server: EmbeddingServer, provider: HttpProvider) -> None:
    await provider.embed(TEXTS, "document")
    assert server.asked == [{"model": "hash", "input": TEXTS, "encoding_format": "float"}]
    assert "Authorization" not in server.headers[0]


@pytest.mark.parametrize(
    "respond",
    [
        pytest.param(data_of(lambda data: data[::-1]), id="reordered"),
        pytest.param(data_of(lambda data: [{"embedding": i["embedding"]} for i in data]), id="no index"),
        pytest.param(lambda texts: web.json_response({"data": items(texts, as_base64=True)}), id="base64"),
        pytest.param(
            data_of(lambda data: [i | {"embedding": [7 * x for x in i["embedding"]]} for i in data]), id="other length"
        ),
        pytest.param(
            lambda texts: web.json_response({"object": "list", "usage": {}, "data": items(texts)}), id="more keys"
        ),
    ],
)
async def test_answers_that_are_right(
    server: EmbeddingServer, provider: HttpProvider, respond: Callable[[list[str]], web.StreamResponse]
) -> None:
    server.answer(respond)
    np.testing.assert_allclose(await provider.embed(TEXTS, "document"), EXPECTED, atol=1e-6)


@pytest.mark.parametrize(
    ("respond", "message"),
    [
        (data_of(lambda data: data[:-1]), "2 vectors for 3 texts"),
        (data_of(lambda data: data + data[:1]), "4 vectors for 3 texts"),
        (data_of(lambda data: None), "no vectors for 3 texts"),
        (lambda texts: web.json_response([1, 2]), "no vectors for 3 texts"),
        (data_of(lambda data: [data[0], data[0], data[2]]), "wrong indexes"),
        (data_of(lambda data: [data[0] | {"index": -1}, *data[1:]]), "wrong indexes"),
        (data_of(lambda data: [data[0] | {"index": 3}, *data[1:]]), "wrong indexes"),
        (data_of(lambda data: [data[0] | {"index": "0"}, *data[1:]]), "wrong indexes"),
        (data_of(lambda data: [1, 2, 3]), "wrong indexes"),
        (data_of(lambda data: [data[0] | {"embedding": data[0]["embedding"][:-1]}, *data[1:]]), "length 255, not 256"),
        (data_of(lambda data: [data[0] | {"embedding": "AAAA"}, *data[1:]]), "cannot be read"),
        (data_of(lambda data: [data[0] | {"embedding": "!"}, *data[1:]]), "cannot be read"),
        (data_of(lambda data: [data[0] | {"embedding": None}, *data[1:]]), "length 1, not 256"),
        (data_of(lambda data: [data[0] | {"embedding": [[1.0]] * DIM}, *data[1:]]), "length 256, not 256"),
        (data_of(lambda data: [data[0] | {"embedding": [0] * DIM}, *data[1:]]), "zero vector"),
        (changed(3, math.nan), "not finite"),
        (changed(3, math.inf), "not finite"),
        (changed(3, 1e300), "not finite"),
        (changed(3, 10**400), "cannot be read"),
        (changed(3, "x"), "cannot be read"),
        (lambda texts: web.Response(status=400, text="text too long"), "answered 400: text too long"),
        (lambda texts: web.Response(status=413, text="too large"), "answered 413"),
        (lambda texts: web.Response(status=422, text="?"), "answered 422"),
    ],
)
async def test_answers_not_worth_a_retry(
    server: EmbeddingServer,
    provider: HttpProvider,
    respond: Callable[[list[str]], web.StreamResponse],
    message: str,
) -> None:
    server.answer(respond)
    with pytest.raises(ProviderRejectedError, match=message) as caught:
        await provider.embed(TEXTS, "document")
    assert server.url.removesuffix("/v1") in str(caught.value)


def http_date(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize(
    ("status", "retry_after", "expected_s"),
    [
        (429, None, None),
        (429, "7", 7.0),
        (429, "0.5", 0.5),
        (429, "-3", 0.0),
        (429, "inf", 3600.0),
        (429, "9e9", 3600.0),
        (429, "soon", None),
        (503, "2", 2.0),
        (500, None, None),
        (502, None, None),
        (401, None, None),
        (403, None, None),
        (404, None, None),
        (204, None, None),
    ],
)
async def test_statuses_worth_a_retry(
    server: EmbeddingServer, provider: HttpProvider, status: int, retry_after: str | None, expected_s: float | None
) -> None:
    headers = {"Retry-After": retry_after} if retry_after is not None else {}
    server.answer(lambda texts: web.Response(status=status, headers=headers))
    with pytest.raises(ProviderUnavailableError, match=f"answered {status}") as caught:
        await provider.embed(TEXTS, "document")
    assert caught.value.retry_after_s == expected_s


@pytest.mark.parametrize(("seconds", "low", "high"), [(90, 80, 91), (-90, 0, 0)])
async def test_retry_after_may_be_a_date(
    server: EmbeddingServer, provider: HttpProvider, seconds: float, low: float, high: float
) -> None:
    server.answer(lambda texts: web.Response(status=429, headers={"Retry-After": http_date(seconds)}))
    with pytest.raises(ProviderUnavailableError) as caught:
        await provider.embed(TEXTS, "document")
    assert caught.value.retry_after_s is not None and low <= caught.value.retry_after_s <= high


@pytest.mark.parametrize("body", ['{"data": [', "", "<html>", "[" * 100_000, "\udcff".encode("utf-8", "surrogatepass")])
async def test_what_is_not_json(server: EmbeddingServer, provider: HttpProvider, body: str | bytes) -> None:
    raw = body.encode() if isinstance(body, str) else body
    server.answer(lambda texts: web.Response(body=raw))
    with pytest.raises(ProviderUnavailableError, match="not JSON"):
        await provider.embed(TEXTS, "document")


async def test_a_redirect_is_not_followed(server: EmbeddingServer, provider: HttpProvider) -> None:
    server.answer(lambda texts: web.Response(status=307, headers={"Location": f"{server.url}/embeddings"}))
    with pytest.raises(ProviderUnavailableError, match="answered 307"):
        await provider.embed(TEXTS, "document")
    assert len(server.asked) == 1


async def test_a_server_that_hangs(server: EmbeddingServer) -> None:
    released = asyncio.Event()

    async def hang(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        await released.wait()
        return web.Response()

    server.respond = hang
    provider = HttpProvider(server.config(timeout_s=0.2))
    started_at = time.monotonic()
    with pytest.raises(ProviderUnavailableError, match="did not answer"):
        await provider.embed(TEXTS, "document")
    assert time.monotonic() - started_at < 5.0
    released.set()
    await provider.close()


async def test_a_connection_that_breaks(server: EmbeddingServer, provider: HttpProvider) -> None:
    async def reset(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100000"})
        await response.prepare(request)
        await response.write(b'{"data": [')
        assert request.transport is not None
        request.transport.abort()
        return response

    server.respond = reset
    with pytest.raises(ProviderUnavailableError, match="did not answer"):
        await provider.embed(TEXTS, "document")


async def test_nobody_listens(server: EmbeddingServer) -> None:
    config = server.config(url="http://127.0.0.1:1/v1")
    provider = HttpProvider(config)
    with pytest.raises(ProviderUnavailableError, match=r"http://127\.0\.0\.1:1 did not answer"):
        await provider.embed(TEXTS, "document")
    await provider.close()


async def test_an_endless_answer(
    server: EmbeddingServer, provider: HttpProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "MAX_ANSWER_BYTES", 300_000)
    server.answer(lambda texts: web.Response(body=b" " * 400_000))
    with pytest.raises(ProviderRejectedError, match="more than 300000 bytes"):
        await provider.embed(TEXTS, "document")


async def test_it_works_again_after_a_fault(server: EmbeddingServer, provider: HttpProvider) -> None:
    server.answer(lambda texts: web.Response(status=500))
    with pytest.raises(ProviderUnavailableError):
        await provider.embed(TEXTS, "document")
    server.answer(lambda texts: web.json_response({"data": items(texts)}))
    np.testing.assert_allclose(await provider.embed(TEXTS, "document"), EXPECTED, atol=1e-6)


async def test_the_key_is_sent_and_shown_nowhere(server: EmbeddingServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_EMBEDDING_KEY", "sk-very-secret\n")
    provider = HttpProvider(server.config(api_key_env="TEST_EMBEDDING_KEY"))
    server.answer(lambda texts: web.Response(status=401, text="wrong key: sk-very-secret!"))
    with pytest.raises(ProviderUnavailableError) as caught:
        await provider.embed(TEXTS, "document")
    assert server.headers[0]["Authorization"] == "Bearer sk-very-secret"
    assert "wrong key: [key]!" in str(caught.value)
    for shown in (str(caught.value), repr(caught.value), repr(provider), str(vars(provider)), repr(provider.info)):
        assert "secret" not in shown
    await provider.close()


@pytest.mark.parametrize("value", [None, "", "  ", "a\nb", "käse"])
async def test_a_key_that_cannot_be_one(
    server: EmbeddingServer, monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.delenv("TEST_EMBEDDING_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("TEST_EMBEDDING_KEY", value)
    provider = HttpProvider(server.config(api_key_env="TEST_EMBEDDING_KEY"))
    with pytest.raises(ProviderUnavailableError, match="TEST_EMBEDDING_KEY") as caught:
        await provider.embed(TEXTS, "document")
    assert not value or not value.strip() or value not in str(caught.value)
    assert server.asked == []
    await provider.close()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:8080",
        "ftp://h/v1",
        "http://",
        "http://u:pass@h/v1",
        "http://[::1/v1",
        "http://h:99999/",
        "http://h/?q",
    ],
)
def test_urls_that_are_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=r"embedding\.url") as caught:
        HttpProvider(EmbeddingConfig(provider="http", url=url, model="m", dim=8))
    assert "pass@" not in str(caught.value)


def test_model_and_dimension_are_needed() -> None:
    for model, dim in (("", 8), ("m", 0), ("m", -1)):
        with pytest.raises(ConfigError, match=r"embedding\.dim"):
            HttpProvider(EmbeddingConfig(provider="http", url="http://h", model=model, dim=dim))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:80/v1", True),
        ("http://127.9.9.9", True),
        ("https://[::1]:443/", True),
        ("http://localhost:11434", True),
        ("http://LOCALHOST", True),
        ("http://localhost.example.org", False),
        ("http://127.0.0.1.example.org", False),
        ("http://127.0.0.1@example.org/", False),
        ("http://0.0.0.0", False),
        ("http://10.0.0.1", False),
        ("https://api.example.org/v1", False),
        ("http://[::1", False),
        ("", False),
    ],
)
def test_what_stays_on_this_machine(url: str, expected: bool) -> None:
    assert is_loopback_url(url) is expected
    if url and "@" not in url and url != "http://[::1":
        info = HttpProvider(EmbeddingConfig(provider="http", url=url, model="m", dim=8)).info
        assert info.local is expected
