"""Embedding servers for a daemon in another process, on loopback: in threads of the test, or as a process to kill."""

from __future__ import annotations

import asyncio
import subprocess
import sys
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


_SERVE = """
import asyncio, sys
from tests.embedding.server import serving
async def serve():
    async with serving() as server:
        server.delay_s = float(sys.argv[1])
        print(server.url, flush=True)
        await asyncio.Event().wait()
asyncio.run(serve())
"""


@contextmanager
def embedding_process(delay_s: float) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """One server's URL and its process, which may be killed."""
    command = [sys.executable, "-c", _SERVE, str(delay_s)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip(), process
        finally:
            process.kill()
