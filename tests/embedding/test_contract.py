"""Every provider keeps the contract: the built-in model here and in warm workers, and real HTTP servers of every
kind."""

from __future__ import annotations

import asyncio
import importlib.util
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from regend.config import EmbeddingConfig, WorkerConfig
from regend.embedding.base import EmbeddingProvider, LocalEncoder, Task
from regend.embedding.registry import LocalProvider, local_encoder, open_provider
from regend.errors import EmbeddingError
from regend.workers.dispatcher import Dispatcher
from tests import canary
from tests.embedding.hashing import HashingEncoder
from tests.embedding.server import serving
from tests.workers.dispatcher_rig import DEADLINE_S, until

TEXTS = [
    "def parse_header(line):\n    return line.split(':')",
    "",
    "class HTTPServer:\n    pass",
    " \n\t",
    "größe = 'Ω≈ç√' # 你好",
    "x" * 100_000,
    "def parse_header(line):\n    return line.split(':')",
    "\0\x01",
    f"password = '{canary.SECRET}'",
]


@asynccontextmanager
async def in_process() -> AsyncIterator[EmbeddingProvider]:
    encoder: LocalEncoder = local_encoder()

    async def embed(texts: object, lane: object) -> object:
        return encoder.encode(texts, "document")  # type: ignore[arg-type]

    yield LocalProvider(encoder, embed)  # type: ignore[arg-type]


@asynccontextmanager
async def in_workers() -> AsyncIterator[EmbeddingProvider]:
    config = EmbeddingConfig()
    workers = Dispatcher(WorkerConfig(count=2))
    await workers.start()
    try:
        yield open_provider(config, workers.embed)
    finally:
        await workers.close()


@asynccontextmanager
async def own_model() -> AsyncIterator[EmbeddingProvider]:
    """A model of the user's own, in warm workers."""
    if importlib.util.find_spec("onnxruntime") is None:
        pytest.skip("the extra `onnx` is not installed")
    from tests.embedding.bert import Shape, save_model

    with tempfile.TemporaryDirectory() as directory:
        save_model(Path(directory) / "tiny", Shape(positions=128))
        workers = Dispatcher(WorkerConfig(count=2, rss_cap_mb=1_000))
        await workers.start()
        made = open_provider(EmbeddingConfig(provider="onnx", model_dir=f"{directory}/tiny"), workers.embed)
        try:
            yield made
        finally:
            await made.close()
            await workers.close()


def over_http(provider: str, **changes: Any) -> Callable[[], AbstractAsyncContextManager[EmbeddingProvider]]:
    @asynccontextmanager
    async def opened() -> AsyncIterator[EmbeddingProvider]:
        async with serving() as server:
            made = open_provider(server.config(provider, **changes), _no_workers)
            try:
                yield made
            finally:
                await made.close()

    return opened


async def _no_workers(texts: object, lane: object) -> np.ndarray:
    raise AssertionError("the HTTP provider does not use the workers")


def _reference(provider: EmbeddingProvider) -> LocalEncoder | None:
    """Return the encoder of the expected vectors: hashing for the HTTP server; `test_onnx` has its own."""
    if provider.info.dim == 32:
        return None
    return local_encoder() if isinstance(provider, LocalProvider) else HashingEncoder()


PROVIDERS = {
    "in_process": in_process,
    "in_workers": in_workers,
    "http, float": over_http("http", encoding="float"),
    "http, base64": over_http("http", encoding="base64"),
    "http, small requests": over_http("http", batch_items=3, batch_tokens=50),
    "openai": over_http("openai"),
    "voyage": over_http("voyage"),
    "ollama": over_http("ollama"),
    "tei": over_http("tei"),
    "llama-server": over_http("llama-server"),
    "dimension not configured": over_http("ollama", dim=0),
    "onnx": own_model,
}


@pytest.fixture(params=PROVIDERS.values(), ids=PROVIDERS)
async def provider(request: pytest.FixtureRequest) -> AsyncIterator[EmbeddingProvider]:
    async with request.param() as opened:
        yield opened


@pytest.mark.parametrize("task", ["document", "query"])
async def test_unit_vectors_in_order(provider: EmbeddingProvider, task: Task) -> None:
    vectors = await provider.embed(TEXTS, task)
    assert vectors.dtype == np.float32 and vectors.shape == (len(TEXTS), provider.info.dim)
    assert np.isfinite(vectors).all()
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    np.testing.assert_array_equal(vectors[0], vectors[6])
    if (reference := _reference(provider)) is not None:
        np.testing.assert_allclose(vectors, reference.encode(TEXTS, task), atol=1e-6)


async def test_bits_do_not_depend_on_the_batch(provider: EmbeddingProvider) -> None:
    together = await provider.embed(TEXTS, "document")
    for text, row in zip(TEXTS, together, strict=True):
        np.testing.assert_array_equal((await provider.embed([text], "document"))[0], row)


async def test_nothing_to_embed(provider: EmbeddingProvider) -> None:
    await provider.prepare()
    assert (await provider.embed([], "document")).shape == (0, provider.info.dim)


async def test_requests_side_by_side(provider: EmbeddingProvider) -> None:
    texts = [f"def function_{n}(argument_{n}): pass" for n in range(40)]
    answers = await asyncio.gather(*(provider.embed([text], "document") for text in texts))
    np.testing.assert_array_equal(np.concatenate(answers), await provider.embed(texts, "document"))
    if (reference := _reference(provider)) is not None:
        np.testing.assert_allclose(np.concatenate(answers), reference.encode(texts, "document"), atol=1e-6)


async def test_close_lets_no_caller_hang_and_may_be_repeated(provider: EmbeddingProvider) -> None:
    await provider.prepare()
    asked = [asyncio.create_task(provider.embed([f"{text} {n}"], "document")) for n in range(20) for text in TEXTS]
    await until(lambda: any(task.done() for task in asked), "an answer while others are asked")
    await provider.close()
    await provider.close()
    async with asyncio.timeout(DEADLINE_S):
        results = await asyncio.gather(*asked, return_exceptions=True)
    assert [result for result in results if not isinstance(result, np.ndarray | EmbeddingError)] == []


async def test_says_what_it_is(provider: EmbeddingProvider) -> None:
    info = await provider.prepare()
    assert info == provider.info
    assert info.model_id and info.note and info.dim in (32, 256) and info.local
    assert info.max_items > 0 and info.max_tokens > 0 and info.concurrency > 0
    assert isinstance(provider.status(), dict)
