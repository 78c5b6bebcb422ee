"""The HTTP provider: what it sends, how it tries again, what it does with what is too large or too long."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import web

from regend.chunking.tokens import estimate_tokens
from regend.config import EmbeddingConfig
from regend.embedding.remote.fleet import PROBE_TEXT
from regend.embedding.remote.provider import HttpProvider
from regend.errors import ConfigError, ProviderRejectedError, ProviderUnavailableError
from regend.types import Lane
from tests.embedding.hashing import DIM, HashingEncoder
from tests.embedding.server import EmbeddingServer, good, items, serving, texts_in
from tests.workers.dispatcher_rig import until

TEXTS = ["def one(): pass", "def two(): pass", "def three(): pass"]


def expected(texts: list[str]) -> np.ndarray:
    return HashingEncoder().encode(texts, "document")


@pytest.fixture
async def server() -> AsyncIterator[EmbeddingServer]:
    async with serving() as started:
        yield started


@asynccontextmanager
async def opened(
    server: EmbeddingServer, provider: str = "http", cache: Path | None = None, **changes: Any
) -> AsyncIterator[HttpProvider]:
    made = HttpProvider(server.config(provider, **changes), cache)
    try:
        yield made
    finally:
        await made.close()


def status(number: int, **headers: str) -> Callable[[], web.Response]:
    return lambda: web.Response(status=number, headers=headers)


# --- what is sent -----------------------------------------------------------------------------------------------------


async def test_the_request(server: EmbeddingServer) -> None:
    async with opened(server, api_key_env="") as provider:
        np.testing.assert_allclose(await provider.embed(TEXTS, "document"), expected(TEXTS), atol=1e-6)
    assert server.asked == [{"model": "hash", "input": TEXTS, "encoding_format": "base64"}]
    assert all("Authorization" not in headers for headers in server.headers)


async def test_prefixes_of_a_style(server: EmbeddingServer) -> None:
    async with opened(server, model="intfloat/e5-small-v2") as provider:
        await provider.embed(["text"], "document")
        await provider.embed(["text"], "query", Lane.QUERY)
        plain = HttpProvider(server.config(model="intfloat/e5-small-v2", prefixes="none"))
        assert provider.info.model_id != plain.info.model_id, "other prefixes make other vectors"
    assert server.texts == [["passage: text"], ["query: text"]]


async def test_prefixes_of_ones_own(server: EmbeddingServer) -> None:
    async with opened(server, document_prefix="D ", query_prefix="Q ") as provider:
        await provider.embed(["text"], "document")
        await provider.embed(["text"], "query")
    assert server.texts == [["D text"], ["Q text"]]


async def test_a_server_that_knows_tasks(server: EmbeddingServer) -> None:
    async with opened(server, "voyage") as provider:
        await provider.embed(["text"], "document")
        await provider.embed(["text"], "query")
    assert [body["input_type"] for body in server.asked] == ["document", "query"]


async def test_requests_within_the_limits(server: EmbeddingServer) -> None:
    texts = [f"word{n} " * 10 for n in range(20)]
    async with opened(server, batch_items=4, batch_tokens=60) as provider:
        np.testing.assert_allclose(await provider.embed(texts, "document"), expected(texts), atol=1e-6)
    assert sorted(itertools.chain(*server.texts)) == sorted(texts)
    assert len(server.texts) == 6 and max(map(len, server.texts)) == 4
    assert max(sum(map(estimate_tokens, asked)) for asked in server.texts) == 60


async def test_long_texts_are_cut_at_a_line_and_counted(server: EmbeddingServer) -> None:
    text = "\n".join(f"value_{n} = compute({n})" for n in range(100))
    async with opened(server, max_text_tokens=100) as provider:
        await provider.embed([text, "short"], "document")
        assert provider.metrics.cut_texts == 1
    (cut, short), *_ = server.texts
    assert short == "short" and text.startswith(cut) and text[len(cut)] == "\n" and 200 < len(cut) <= 350


async def test_estimates_learn_from_what_is_used(server: EmbeddingServer) -> None:
    async def twice(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return web.json_response({"data": items(body["input"]), "usage": {"total_tokens": 100}})

    server.respond = twice
    async with opened(server) as provider:
        await provider.embed(["x" * 170], "document")  # Estimated at 49.
        assert provider.status()["token_factor"] == pytest.approx(100 / 49, abs=0.001)
        assert provider.metrics.tokens >= 100


# --- trying again -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [429, 500, 502, 503])
async def test_a_failure_that_passes(server: EmbeddingServer, number: int) -> None:
    server.answer_in_turn(status(number), status(number, **{"Retry-After": "0"}))
    async with opened(server, attempts=5) as provider:
        np.testing.assert_allclose(await provider.embed(TEXTS, "document"), expected(TEXTS), atol=1e-6)
        assert provider.metrics.retries == provider.metrics.failures == 2
        assert provider.metrics.rate_limited == (2 if number == 429 else 0)
    assert len(server.asked) == 3


async def test_a_stated_pause_is_kept_by_all_requests(server: EmbeddingServer) -> None:
    server.answer_in_turn(status(429, **{"Retry-After": "0.4"}))
    async with opened(server, attempts=2) as provider:
        await provider.prepare()
        first = asyncio.create_task(provider.embed(["a"], "document"))
        await until(lambda: provider.metrics.rate_limited == 1, "the refusal came")
        refused_at = time.monotonic()
        await provider.embed(["b"], "query", Lane.QUERY)
        assert time.monotonic() - refused_at >= 0.3
        await first


async def test_attempts_come_to_an_end(server: EmbeddingServer) -> None:
    server.answer(lambda _: web.Response(status=500))
    async with opened(server, attempts=3) as provider:
        with pytest.raises(ProviderUnavailableError, match="answered 500"):
            await provider.embed(TEXTS, "document")
    assert len(server.asked) == 3


async def test_so_does_the_time(server: EmbeddingServer) -> None:
    server.answer(lambda _: web.Response(status=429, headers={"Retry-After": "5"}))
    async with opened(server, attempts=9, retry_budget_s=2.0) as provider:
        with pytest.raises(ProviderUnavailableError) as caught:
            await provider.embed(TEXTS, "document")
        assert caught.value.retry_after_s == 5.0
    assert len(server.asked) == 1


async def test_one_attempt_is_not_repeated(server: EmbeddingServer) -> None:
    server.answer(lambda _: web.Response(status=500))
    async with opened(server, attempts=1) as provider:
        with pytest.raises(ProviderUnavailableError):
            await provider.embed(TEXTS, "document")
    assert len(server.asked) == 1


@pytest.mark.parametrize(("number", "kind"), [(401, "denied"), (307, "redirect")])
async def test_what_no_attempt_can_mend(server: EmbeddingServer, number: int, kind: str) -> None:
    server.answer(lambda _: web.Response(status=number, headers={"Location": "/"}))
    async with opened(server, attempts=9) as provider:
        with pytest.raises(ProviderUnavailableError) as caught:
            await provider.embed(TEXTS, "document")
        assert caught.value.kind == kind
    assert len(server.asked) == 1


async def test_refused_texts_are_not_tried_again(server: EmbeddingServer) -> None:
    server.answer(lambda _: web.Response(status=400, text="bad text"))
    async with opened(server, attempts=9) as provider:
        with pytest.raises(ProviderRejectedError, match="bad text"):
            await provider.embed(TEXTS, "document")
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("row", "kind"), [([0.0] * DIM, "zero"), ([1.0] * 3, "dimension"), ([1e300] * DIM, "not_finite")]
)
async def test_vectors_that_cannot_be_used(server: EmbeddingServer, row: list[float], kind: str) -> None:
    server.answer(lambda texts: web.Response(text=json.dumps({"data": [{"embedding": row} for _ in texts]})))
    async with opened(server) as provider:
        with pytest.raises(ProviderRejectedError) as caught:
            await provider.embed(TEXTS, "document")
        assert caught.value.kind == kind


async def test_it_works_again_after_a_fault(server: EmbeddingServer) -> None:
    server.answer_in_turn(status(500))
    async with opened(server) as provider:
        with pytest.raises(ProviderUnavailableError):
            await provider.embed(TEXTS, "document")
        np.testing.assert_allclose(await provider.embed(TEXTS, "document"), expected(TEXTS), atol=1e-6)


# --- too large --------------------------------------------------------------------------------------------------------


async def test_a_request_that_is_too_large_is_halved(server: EmbeddingServer) -> None:
    texts = [f"def function_{n}(): pass" for n in range(13)]

    def at_most(count: int) -> Callable[[list[str]], web.Response]:
        def respond(texts: list[str]) -> web.Response:
            if len(texts) > count:
                return web.Response(status=413)
            return web.json_response({"data": items(texts)})

        return respond

    server.answer(at_most(4))
    async with opened(server) as provider:
        np.testing.assert_allclose(await provider.embed(texts, "document"), expected(texts), atol=1e-6)
        assert provider.metrics.halvings == 3
    assert sum(len(texts) for texts in server.texts if len(texts) <= 4) == 13, "and nothing was embedded twice"


async def test_a_text_that_is_too_long_is_cut_and_the_next_one_beforehand(server: EmbeddingServer) -> None:
    def respond(texts: list[str]) -> web.Response:
        if any(len(text) > 2_000 for text in texts):
            return web.Response(status=400, text="maximum context length exceeded")
        return web.json_response({"data": items(texts)})

    server.answer(respond)
    text = "\n".join(f"value_{n} = {n}" for n in range(400))
    async with opened(server) as provider:
        vectors = await provider.embed([text], "document")
        assert vectors.shape == (1, DIM)
        tried = len(server.asked)
        await provider.embed([text], "document")
        assert len(server.asked) == tried + 1, "the limit was learnt"
        assert provider.metrics.cut_texts >= 2


async def test_a_server_that_finds_everything_too_large(server: EmbeddingServer) -> None:
    server.answer(lambda _: web.Response(status=413))
    async with opened(server) as provider:
        with pytest.raises(ProviderRejectedError) as caught:
            await provider.embed(["x " * 2_000], "document")
        assert caught.value.kind == "too_large"
        assert len(server.asked) < 10
        server.respond = good
        await provider.embed(["x " * 2_000], "document")
        assert server.texts[-1] == ["x " * 2_000], "no limit was learnt"


# --- what is known of it ----------------------------------------------------------------------------------------------


async def test_the_dimension_is_asked_for(server: EmbeddingServer) -> None:
    async with opened(server, dim=0) as provider:
        assert provider.info.dim == 0
        assert (await provider.prepare()).dim == DIM and provider.info.model_id == f"hash@{DIM}"


async def test_a_wrong_dimension_is_named(server: EmbeddingServer) -> None:
    async with opened(server, dim=99) as provider:
        with pytest.raises(ProviderUnavailableError, match=f"length {DIM}, not 99; correct `embedding.dim`") as caught:
            await provider.embed(TEXTS, "document")
        assert caught.value.kind == "dimension"
    assert server.asked == []


async def test_callers_share_one_probe(server: EmbeddingServer) -> None:
    async with opened(server) as provider:
        await asyncio.gather(*(provider.embed([text], "document") for text in TEXTS * 5))
    assert len(server.probes) == 2


async def test_a_caller_that_gives_up_does_not_end_the_probe(server: EmbeddingServer) -> None:
    released = asyncio.Event()

    async def slow(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        await released.wait()
        return web.json_response({"data": items(texts_in(body))})

    server.respond_probe = slow
    async with opened(server) as provider:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await provider.embed(["a"], "query", Lane.QUERY)
        released.set()
        await provider.embed(["a"], "query", Lane.QUERY)
    assert [texts_in(body)[-1] for body in server.probes] == [PROBE_TEXT] * 2


async def test_a_probe_that_fails_is_made_again(server: EmbeddingServer) -> None:
    async def down(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return web.Response(status=503)

    right = server.respond_probe
    server.respond_probe = down
    async with opened(server) as provider:
        for _ in range(2):
            with pytest.raises(ProviderUnavailableError, match="503"):
                await provider.embed(TEXTS, "document")
        server.respond_probe = right
        assert (await provider.embed(TEXTS, "document")).shape == (3, DIM)


async def test_what_was_found_out_is_remembered(server: EmbeddingServer, tmp_path: Path) -> None:
    cache = tmp_path / "state" / "probes.json"
    async with opened(server, dim=0, cache=cache) as provider:
        await provider.embed(["a"], "document")
    assert len(server.probes) == 2 and cache.stat().st_mode & 0o777 == 0o600
    async with opened(server, dim=0, cache=cache) as provider:
        assert provider.info.dim == DIM, "known before anything is asked"
        await provider.embed(["a"], "document")
    assert len(server.probes) == 3, "only whether it is still the same model"


async def test_another_model_under_the_same_name_is_refused(server: EmbeddingServer, tmp_path: Path) -> None:
    cache = tmp_path / "probes.json"
    async with opened(server, cache=cache) as provider:
        await provider.embed(["a"], "document")

    async def other(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return web.json_response({"data": [{"embedding": [1.0] * DIM} for _ in body["input"]]})

    server.respond = server.respond_probe = other
    async with opened(server, cache=cache) as provider:
        with pytest.raises(ProviderUnavailableError, match="another model") as caught:
            await provider.embed(["a"], "document")
        assert caught.value.kind == "disagrees" and caught.value.retry_after_s is not None
        assert provider.status()["servers"][0]["admitted"] is False
    assert len(server.asked) == 1, "no vector of the other model was taken"


# --- configuration ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://x/v1",
        "http://",
        "http://user:secret@x/v1",
        "https://x/v1?key=secret",
        "http://[::1/v1",
        "http://x:99999/",
    ],
)
def test_urls_that_cannot_be_used(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        HttpProvider(EmbeddingConfig(provider="http", urls=(url,), model="m", dim=1))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://127.0.0.1:8080/v1", True),
        ("http://localhost/v1", True),
        ("http://[::1]:80/v1", True),
        ("http://127.1.2.3/", True),
        ("https://example.com/v1", False),
        ("http://localhost.example.com/v1", False),
        ("http://192.168.1.5/v1", False),
        ("http://0.0.0.0/v1", False),
    ],
)
def test_what_is_local(url: str, local: bool) -> None:
    assert HttpProvider(EmbeddingConfig(provider="http", urls=(url,), model="m", dim=1)).info.local is local
    mixed = EmbeddingConfig(provider="http", urls=("http://127.0.0.1:1", url), model="m", dim=1)
    assert HttpProvider(mixed).info.local is local, "one of several is enough"


def test_batches_stay_below_what_a_bucket_of_tokens_holds() -> None:
    free = HttpProvider(EmbeddingConfig(provider="voyage", tier="free"))
    assert free.info.max_tokens == 750 and free.info.dim == 1024 and not free.info.local
    assert HttpProvider(EmbeddingConfig(provider="voyage")).info.max_tokens == 120_000
