"""The probe finds out what a server can do, whatever it cannot; what it found is remembered, and damage is not."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import web
from structlog.testing import capture_logs

from regend.embedding.remote.dialects import Form
from regend.embedding.remote.probe import Capabilities, ProbeCache, forms, probe_key
from regend.embedding.remote.provider import HttpProvider
from regend.errors import ConfigError, EmbeddingError
from tests.embedding.hashing import DIM
from tests.embedding.server import EmbeddingServer, items, serving

FOUND = Capabilities(Form("base64", True, 3), 3, 64, 1.0, True, (0.6, 0.8, 0.0))


@pytest.fixture
async def server() -> AsyncIterator[EmbeddingServer]:
    async with serving() as started:
        yield started


async def probed(server: EmbeddingServer, tmp_path: Path, provider: str = "http", **changes: Any) -> Capabilities:
    """Return the capabilities that a provider found and stored; check that it can embed afterwards."""
    cache = tmp_path / "probes.json"
    opened = HttpProvider(server.config(provider, **{"dim": 0} | changes), cache)
    try:
        await opened.prepare()
        texts = [f"def function_{n}(): pass" for n in range(10)]
        assert (await opened.embed(texts, "document")).shape == (10, opened.info.dim)
    finally:
        await opened.close()
    (key,) = json.loads(cache.read_text())["probes"]
    found = ProbeCache(cache).load(key)
    assert found is not None
    return found


def probe_with(server: EmbeddingServer, respond: Callable[[dict[str, Any]], web.Response]) -> None:
    async def answer(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return respond(body)

    server.respond = server.respond_probe = answer


async def test_a_server_that_can_everything(server: EmbeddingServer, tmp_path: Path) -> None:
    found = await probed(server, tmp_path)
    assert (found.form, found.dim, found.max_items) == (Form("base64"), DIM, 64)
    assert found.deterministic and found.norm == pytest.approx(1.0, abs=1e-5)
    assert float(np.linalg.norm(found.vector())) == pytest.approx(1.0, abs=1e-5)
    assert len(server.probes) == 2


async def test_no_base64(server: EmbeddingServer, tmp_path: Path) -> None:
    def respond(body: dict[str, Any]) -> web.Response:
        if body["encoding_format"] == "base64":
            return web.Response(status=400, text="unsupported encoding_format")
        return web.json_response({"data": items(body["input"])})

    probe_with(server, respond)
    assert (await probed(server, tmp_path)).form == Form("float")


async def test_no_tasks(server: EmbeddingServer, tmp_path: Path) -> None:
    def respond(body: dict[str, Any]) -> web.Response:
        if "input_type" in body:
            return web.Response(status=422, text="extra field")
        return web.json_response({"data": items(body["input"])})

    probe_with(server, respond)
    assert (await probed(server, tmp_path, "voyage")).form == Form("base64")


@pytest.mark.parametrize(("most", "found"), [(1, 1), (5, 4), (20, 16), (63, 32), (64, 64)])
@pytest.mark.parametrize("status", [413, 400])
async def test_the_largest_batch(server: EmbeddingServer, tmp_path: Path, most: int, found: int, status: int) -> None:
    def respond(body: dict[str, Any]) -> web.Response:
        if len(body["input"]) > most:
            return web.Response(status=status)
        return web.json_response({"data": items(body["input"])})

    probe_with(server, respond)
    assert (await probed(server, tmp_path)).max_items == found
    assert max(len(texts) for texts in server.texts) <= most


async def test_batches_in_another_order_are_not_trusted(server: EmbeddingServer, tmp_path: Path) -> None:
    def respond(body: dict[str, Any]) -> web.Response:
        rows = [{"embedding": item["embedding"]} for item in items(body["input"])]
        return web.json_response({"data": rows[::-1]})

    probe_with(server, respond)
    assert (await probed(server, tmp_path)).max_items == 1
    assert {len(texts) for texts in server.texts} == {1}, "one text a request, then"


async def test_only_the_first_text_of_a_batch_is_embedded(server: EmbeddingServer, tmp_path: Path) -> None:
    probe_with(server, lambda body: web.json_response({"data": items(body["input"][:1])}))
    assert (await probed(server, tmp_path)).max_items == 1


async def test_not_normalised_and_not_the_same_twice(server: EmbeddingServer, tmp_path: Path) -> None:
    calls = []

    def respond(body: dict[str, Any]) -> web.Response:
        calls.append(body)
        data = items(body["input"])
        for item in data:
            first, *rest = (7.0 * x for x in item["embedding"])
            item["embedding"] = [first + 0.005 * len(calls), *rest]
        return web.json_response({"data": data})

    probe_with(server, respond)
    found = await probed(server, tmp_path)
    assert found.norm == pytest.approx(7.0, rel=1e-3) and not found.deterministic and found.max_items == 64


@pytest.mark.parametrize("row", [[0.0] * 4, [1e300] * 4])
async def test_a_model_that_is_broken(server: EmbeddingServer, tmp_path: Path, row: list[float]) -> None:
    probe_with(server, lambda body: web.json_response({"data": [{"embedding": row} for _ in body["input"]]}))
    with pytest.raises(EmbeddingError) as caught:
        await probed(server, tmp_path)
    assert caught.value.kind in ("zero", "not_finite")


async def test_a_server_that_takes_no_form(server: EmbeddingServer, tmp_path: Path) -> None:
    probe_with(server, lambda body: web.Response(status=400, text="no such model"))
    with pytest.raises(EmbeddingError, match="no such model"):
        await probed(server, tmp_path)
    assert len(server.probes) == 2


async def test_an_unknown_style_is_found_before_anything_is_sent(server: EmbeddingServer) -> None:
    with pytest.raises(ConfigError, match="prefixes"):
        HttpProvider(server.config(prefixes="magic"))
    assert server.probes == []


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (("auto", True, False, 0), (Form("base64"), Form("float"))),
        (("auto", False, False, 0), (Form("float"),)),
        (("float", True, False, 5), (Form("float", dim=5),)),
        (("base64", True, False, 0), (Form("base64"),)),
        (("base64", False, False, 0), (Form("float"),)),
        (
            ("auto", True, True, 0),
            (Form("base64", True), Form("float", True), Form("base64"), Form("float")),
        ),
    ],
)
def test_forms(asked: tuple[str, bool, bool, int], expected: tuple[Form, ...]) -> None:
    assert forms(*asked) == expected


# --- the cache --------------------------------------------------------------------------------------------------------


def test_remembered(tmp_path: Path) -> None:
    cache = ProbeCache(tmp_path / "probes.json")
    assert cache.load("a") is None
    cache.save("a", FOUND)
    cache.save("b", FOUND)
    assert ProbeCache(tmp_path / "probes.json").load("a") == FOUND and cache.load("c") is None
    assert [path.name for path in tmp_path.iterdir()] == ["probes.json"]


def test_nowhere_to_remember() -> None:
    cache = ProbeCache(None)
    cache.save("a", FOUND)
    assert cache.load("a") is None


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "{}", '{"version": 1, "probes": 5}', '{"version": 99, "probes": {"a": 1}}',
     '{"version": 1, "probes": {"a": {"dim": "x"}}}', '{"version": 1, "probes": {"a": null}}'],
)  # fmt: skip
def test_damage(tmp_path: Path, content: str) -> None:
    path = tmp_path / "probes.json"
    path.write_text(content)
    cache = ProbeCache(path)
    assert cache.load("a") is None
    cache.save("b", FOUND)
    assert cache.load("b") == FOUND


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    """The daemon goes on, says so, and asks the server again next time."""
    (tmp_path / "file").write_text("not a directory")
    cache = ProbeCache(tmp_path / "file" / "probes.json")
    with capture_logs() as logs:
        cache.save("a", FOUND)
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [("probe_not_saved", "warning")]
    assert cache.load("a") is None and (tmp_path / "file").read_text() == "not a directory"


def test_keys() -> None:
    assert probe_key(["u"], "m", 1) == probe_key(["u"], "m", 1)
    assert len({probe_key(["u"], "m"), probe_key(["v"], "m"), probe_key(["u"], "n"), probe_key(["u"], "m", 1)}) == 4
