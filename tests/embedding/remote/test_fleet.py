"""Several servers of one model: work goes where there is least, around those that fail, and never to another model."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import numpy as np
import pytest
from aiohttp import web

from regend.config import EmbeddingConfig
from regend.embedding.pacing.ratelimit import RateConfig, RateLimiter
from regend.embedding.remote.dialects import DIALECTS
from regend.embedding.remote.endpoint import Endpoint
from regend.embedding.remote.fleet import AGREEMENT, PROBE_TEXT, Errand, Fleet, Metrics, agreement
from regend.embedding.remote.keys import KeySource
from regend.embedding.remote.provider import HttpProvider
from regend.embedding.remote.transport import Transport
from regend.errors import ProviderRejectedError, ProviderUnavailableError
from regend.types import Lane
from tests.embedding.hashing import DIM, HashingEncoder
from tests.embedding.server import EmbeddingServer, items, serving, texts_in
from tests.workers.dispatcher_rig import until


@asynccontextmanager
async def servers(count: int) -> AsyncIterator[list[EmbeddingServer]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(serving()) for _ in range(count)]


@asynccontextmanager
async def fleet_of(started: list[EmbeddingServer], **changes: Any) -> AsyncIterator[HttpProvider]:
    base: dict[str, Any] = {"attempts": 6, "urls": tuple(server.url for server in started)}
    provider = HttpProvider(started[0].config(**base | changes))
    try:
        yield provider
    finally:
        await provider.close()


@asynccontextmanager
async def one_server(
    server: EmbeddingServer, limits: RateConfig | None = None, concurrency: int = 4
) -> AsyncIterator[Fleet]:
    """The fleet by itself, whose one server is admitted."""
    transport = Transport(5.0)
    endpoint = Endpoint(server.url, DIALECTS["openai"], "hash", concurrency, transport)
    endpoint.admitted = True
    keys = KeySource(EmbeddingConfig(), "", "Server")
    fleet = Fleet([endpoint], RateLimiter(limits or RateConfig()), keys, Metrics())
    fleet.reference = HashingEncoder().encode([PROBE_TEXT], "document")[0]
    try:
        yield fleet
    finally:
        fleet.close()
        await transport.close()


def errand(text: str, lane: Lane = Lane.BULK, tokens: float = 1.0) -> Errand:
    return Errand([text], "query" if lane is Lane.QUERY else "document", tokens, lane)


async def other_model(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    vector = np.ones(DIM) / 16.0
    return web.json_response({"data": [{"embedding": vector.tolist()} for _ in texts_in(body)]})


async def down(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    return web.Response(status=503)


# --- choosing ---------------------------------------------------------------------------------------------------------


async def test_the_one_with_the_least_to_do() -> None:
    async with servers(3) as started, fleet_of(started) as provider:
        started[0].delay_s = 0.3
        await asyncio.gather(*(provider.embed([f"text {n}"], "document") for n in range(60)))
        counts = [len(server.asked) for server in started]
        assert sum(counts) == 60 and counts[0] < min(counts[1:]), counts


async def test_each_server_is_compared_before_its_first_text() -> None:
    async with servers(3) as started, fleet_of(started) as provider:
        await asyncio.gather(*(provider.embed([f"text {n}"], "document") for n in range(30)))
        for server in started:
            assert PROBE_TEXT in texts_in(server.probes[0])
        assert [len(server.probes) for server in started] == [2, 1, 1]
        assert all(row["admitted"] for row in provider.status()["servers"])


async def test_another_model_gets_no_text() -> None:
    async with servers(3) as started, fleet_of(started) as provider:
        started[1].respond = started[1].respond_probe = other_model
        texts = [f"def function_{n}(): pass" for n in range(30)]
        vectors = await asyncio.gather(*(provider.embed([text], "document") for text in texts))
        np.testing.assert_allclose(np.concatenate(vectors), HashingEncoder().encode(texts, "document"), atol=1e-6)
        assert started[1].asked == [] and len(started[1].probes) == 1
        refusals = [row["refusal"] for row in provider.status()["servers"]]
        assert "another model" in refusals[1] and refusals[0] == refusals[2] == ""


async def test_one_that_answers_no_longer_is_not_said_to_have_another_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regend.embedding.remote.fleet._LOOK_AGAIN_S", 0.05)
    async with servers(2) as started, fleet_of(started) as provider:
        await provider.prepare()
        started[1].respond = started[1].respond_probe = other_model

        async def ask_until(refused: bool) -> None:
            async with asyncio.timeout(10.0):
                while ("another model" in provider.status()["servers"][1]["refusal"]) != refused:
                    await asyncio.gather(*(provider.embed([f"text {n}"], "document") for n in range(4)))

        await ask_until(refused=True)
        started[1].respond = started[1].respond_probe = down
        await ask_until(refused=False)
        for server in started:
            server.respond = server.respond_probe = down
        with pytest.raises(ProviderUnavailableError, match=r"answers \(http|answered 503"):
            await provider.embed(["nobody"], "document")


async def test_one_that_is_down_at_the_start() -> None:
    async with servers(2) as started, fleet_of(started) as provider:
        started[0].respond = started[0].respond_probe = down
        await asyncio.gather(*(provider.embed([f"text {n}"], "document") for n in range(20)))
        assert len(started[1].asked) == 20


async def test_one_that_dies_in_the_middle_costs_nothing() -> None:
    texts = [f"def function_{n}(): pass" for n in range(300)]
    async with servers(3) as started, fleet_of(started) as provider:
        await provider.prepare()

        async def dies(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()

        async def embed(number: int) -> np.ndarray:
            if number == 100:
                started[1].respond = started[1].respond_probe = dies
            return await provider.embed([texts[number]], "document")

        vectors = await asyncio.gather(*(embed(number) for number in range(300)))
        np.testing.assert_allclose(np.concatenate(vectors), HashingEncoder().encode(texts, "document"), atol=1e-6)
        states = [row["breaker"] for row in provider.status()["servers"]]
        assert states[0] == states[2] == "closed" and states[1] != "closed"


async def test_one_that_comes_back_is_compared_again() -> None:
    async with servers(1) as started, fleet_of(started, attempts=1) as provider:
        server = started[0]
        await provider.embed(["a"], "document")
        right = server.respond
        server.respond = server.respond_probe = down
        kinds = []
        for _ in range(6):
            with pytest.raises(ProviderUnavailableError) as caught:
                await provider.embed(["b"], "document")
            kinds.append(caught.value.kind)
        assert kinds == ["failed"] * 5 + ["breaker"]
        assert caught.value.retry_after_s is not None and 0.0 < caught.value.retry_after_s <= 1.0
        asked, probes = len(server.asked), len(server.probes)
        server.respond = server.respond_probe = right
        await until(lambda: provider.status()["servers"][0]["breaker"] == "half-open", "a trial is allowed")
        await provider.embed(["c"], "document")
        assert (len(server.asked), len(server.probes)) == (asked + 1, probes + 1)


@pytest.mark.parametrize("at_the_start", [False, True])
async def test_a_pause_that_one_asks_for_holds_up_no_other(at_the_start: bool) -> None:
    async def starting(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return web.Response(status=503, text="loading the model", headers={"Retry-After": "600"})

    async with servers(2) as started, fleet_of(started) as provider:
        if not at_the_start:
            await provider.prepare()
        started[0].respond = started[0].respond_probe = starting
        async with asyncio.timeout(10.0):
            await asyncio.gather(*(provider.embed([f"text {n}"], "document") for n in range(8)))
            await provider.embed(["a question"], "query", Lane.QUERY)
        assert len(started[1].asked) == 9 and len(started[0].asked) <= 2, "the pause is kept"
        assert "loading the model" in provider.status()["servers"][0]["refusal"]
        started[1].respond = starting
        with pytest.raises(ProviderUnavailableError) as caught:
            await provider.embed(["nobody"], "document")
        assert 500.0 < (caught.value.retry_after_s or 0.0) <= 600.0


async def test_a_pause_of_the_account_holds_for_all() -> None:
    async with servers(2) as started, fleet_of(started, attempts=1) as provider:
        await provider.prepare()
        started[0].answer(lambda _: web.Response(status=429, headers={"Retry-After": "600"}))
        with pytest.raises(ProviderUnavailableError):
            await provider.embed(["a"], "document")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await provider.embed(["b"], "document")
        assert started[1].asked == []


@pytest.mark.parametrize("status", [401, 403, 301, 307])
async def test_one_that_lets_nobody_in_holds_up_no_other(status: int) -> None:
    for at_the_start, which in ((True, 0), (False, 0), (False, 1)):
        async with servers(2) as started, fleet_of(started, attempts=2) as provider:
            if not at_the_start:
                await asyncio.gather(*(provider.embed([f"text {n}"], "document") for n in range(4)))

            async def shut(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
                return web.Response(status=status, headers={"Location": "/login"})

            started[which].respond = started[which].respond_probe = shut
            for n in range(6):
                await provider.embed([f"other {n}"], "document")
            await asyncio.gather(*(provider.embed([f"more {n}"], "document") for n in range(6)))
            assert str(status) in provider.status()["servers"][which]["refusal"]
            started[1 - which].respond = shut
            with pytest.raises(ProviderUnavailableError, match=f"answered {status}"):
                await provider.embed(["nobody"], "document")
            with pytest.raises(ProviderUnavailableError, match=f"answered {status}") as caught:
                await provider.embed(["nobody"], "document")
            assert 0.0 < (caught.value.retry_after_s or 0.0) <= 60.0


Change = Callable[[list[dict[str, Any]]], list[dict[str, Any]]]
REFUSING: dict[str, Change | None] = {
    "400": None,
    "too few": lambda data: data[:-1],
    "empty": lambda data: [item | {"embedding": [0.0] * DIM} for item in data],
    "not finite": lambda data: [item | {"embedding": base64.b64encode(NAN).decode()} for item in data],
    "too short": lambda data: [item | {"embedding": item["embedding"][1:]} for item in data],
}
NAN = np.full(DIM, np.nan, "<f4").tobytes()


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("how", REFUSING)
async def test_one_that_refuses_everything_spoils_no_text(how: str, which: int) -> None:
    change = REFUSING[how]

    async def refuse(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if change is None:
            return web.Response(status=400, text="model not loaded")
        return web.json_response({"data": change(items(texts_in(body)))})

    async with servers(2) as started, fleet_of(started) as provider:
        await asyncio.gather(*(provider.embed([f"text {n}"], "document") for n in range(8)))
        started[which].respond = started[which].respond_probe = refuse
        texts = [f"other {n}" for n in range(12)]
        asked = [provider.embed([text], "document") for text in texts]
        results = await asyncio.gather(*asked, return_exceptions=True)
        refused = [text for text, result in zip(texts, results, strict=True) if isinstance(result, Exception)]
        assert 0 < len(refused) < len(texts), "it was asked, and others were answered"
        probes = len(started[which].probes)
        await asyncio.gather(*(provider.embed([text], "document") for text in refused))
        row = provider.status()["servers"][which]
        assert row["refusal"] and not row["admitted"] and len(started[which].probes) <= probes + 1


async def test_a_text_that_all_refuse_costs_a_probe_and_no_server() -> None:
    def pick(texts: list[str]) -> web.Response:
        return web.Response(status=400) if "poison" in texts else web.json_response({"data": items(texts)})

    async with servers(2) as started, fleet_of(started) as provider:
        await provider.prepare()
        for server in started:
            server.answer(pick)
        for _ in range(3):
            with pytest.raises(ProviderRejectedError):
                await provider.embed(["poison"], "document")
        await asyncio.gather(*(provider.embed([f"text {n}"], "document") for n in range(8)))
        assert all(row["admitted"] and not row["refusal"] for row in provider.status()["servers"])
        assert sum(len(server.probes) for server in started) <= 2 + 1 + 3


# --- waiting ----------------------------------------------------------------------------------------------------------


async def test_queries_and_edits_go_before_bulk() -> None:
    async with serving() as server, one_server(server, concurrency=1) as fleet:
        server.delay_s = 0.1
        order: list[str] = []

        async def ask(text: str, lane: Lane) -> None:
            await fleet.ask(errand(text, lane))
            order.append(text)

        running = [asyncio.create_task(ask(f"first {n}", Lane.BULK)) for n in range(3)]
        await until(lambda: server.running == 1, "a request is under way")
        running += [asyncio.create_task(ask(f"bulk {n}", Lane.BULK)) for n in range(3)]
        await until(lambda: len(fleet._waiters) == 5, "all but the first wait")
        running += [asyncio.create_task(ask("edit", Lane.EDIT)), asyncio.create_task(ask("query", Lane.QUERY))]
        await asyncio.gather(*running)
        assert set(order[:3]) == {"first 0", "edit", "query"}, order
        assert server.most_running <= 3


async def test_a_query_does_not_wait_for_the_limits_behind_bulk() -> None:
    limits = RateConfig(0, 120_000, margin=0.5)
    async with serving() as server, one_server(server, limits) as fleet:
        server.answer(lambda texts: web.json_response({"data": items(texts)}))  # Tokens are not told.
        bulk = [asyncio.create_task(fleet.ask(errand(f"b{n}", Lane.BULK, 1_000))) for n in range(8)]
        await until(lambda: len(server.asked) >= 4, "the bucket is nearly empty")
        asked = len(server.asked)
        await fleet.ask(errand("q", Lane.QUERY, 10))
        assert server.texts.index(["q"]) <= asked + 1 and not all(task.done() for task in bulk)
        for task in bulk:
            task.cancel()
        await asyncio.gather(*bulk, return_exceptions=True)


async def test_a_waiting_request_that_is_cancelled_leaves_no_trace() -> None:
    async with serving() as server, one_server(server, concurrency=1) as fleet:
        server.delay_s = 0.1
        first = asyncio.create_task(fleet.ask(errand("first")))
        await until(lambda: server.running == 1, "a request is under way")
        waiting = asyncio.create_task(fleet.ask(errand("second")))
        await until(lambda: fleet._waiters, "the second waits")
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await first
        await fleet.ask(errand("third"))
        assert server.texts == [["first"], ["third"]] and fleet.endpoints[0].concurrency.running == 0


async def test_a_request_that_is_cancelled_under_way_frees_its_place() -> None:
    async with serving() as server, one_server(server, concurrency=1) as fleet:
        server.delay_s = 5.0
        first = asyncio.create_task(fleet.ask(errand("first")))
        await until(lambda: server.running == 1, "a request is under way")
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        server.delay_s = 0.0
        await fleet.ask(errand("second"))
        assert fleet.endpoints[0].concurrency.running == 0


async def test_what_waits_at_the_end_fails() -> None:
    async with serving() as server:
        async with one_server(server, RateConfig(1, 0)) as fleet:
            await fleet.ask(errand("a"))
            waiting = asyncio.create_task(fleet.ask(errand("b")))
            await until(lambda: fleet._waiters, "the second waits")
        with pytest.raises(ProviderUnavailableError, match="stopping"):
            await waiting


async def test_concurrency_grows_to_what_is_allowed() -> None:
    async with serving() as server, one_server(server, concurrency=6) as fleet:
        server.delay_s = 0.01
        await asyncio.gather(*(fleet.ask(errand(f"{n}")) for n in range(100)))
        assert server.most_running == 6


# --- agreement --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ([1.0, 0.0], [2.0, 0.0], 1.0),
        ([1.0, 0.0], [0.0, 1.0], 0.0),
        ([1.0, 0.0], [1.0, 0.0, 0.0], 0.0),
        ([0.0, 0.0], [1.0, 0.0], 0.0),
        ([float("nan"), 0.0], [1.0, 0.0], 0.0),
    ],
)
def test_agreement(left: list[float], right: list[float], expected: float) -> None:
    assert agreement(np.array(left, np.float32), np.array(right, np.float32)) == expected


def test_half_precision_agrees() -> None:
    vector = HashingEncoder().encode([PROBE_TEXT], "document")[0]
    assert agreement(vector.astype(np.float16).astype(np.float32), vector) >= AGREEMENT
