"""Embedding servers for a daemon in another process: in threads of the test, on loopback."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.embedding.server import EmbeddingServer, serving


@contextmanager
def embedding_server(port: int = 0) -> Iterator[EmbeddingServer]:
    """One server; its attributes may be set at any time."""
    started = threading.Event()
    found: list[EmbeddingServer] = []
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        async with serving(port) as server:
            found.append(server)
            started.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    assert started.wait(10), "the embedding server starts"
    try:
        yield found[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()
