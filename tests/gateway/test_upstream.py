"""The gateway's connection: however it ends, questions in flight fail with an error, and the next ones are answered."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from regend.errors import RegendError
from regend.gateway.upstream import Upstream
from regend.rpc.codec import encode_notification, encode_response
from tests.rpc.scripted import short_directory

HELLO = encode_response(1, None, {"server": "regend"})
LIMIT_S = 10.0
ENDS = {
    "it is closed": b"",
    "half an answer": encode_response(2, None, {"roots": []})[:-1],
    "broken bytes": b"\xc1",
    "a request": b"\x94\x00\x01\xa4list\x90",
    "a result that is no map": encode_response(2, None, 3),
    "the daemon says why": encode_notification("error", {"code": "protocol_error", "message": "Too much."}),
}


@pytest.fixture
def socket() -> Iterator[Path]:
    with short_directory() as path:
        yield path / "s"


@pytest.mark.parametrize("end", ENDS.values(), ids=list(ENDS))
async def test_a_connection_that_ended_is_made_again(socket: Path, end: bytes) -> None:
    """Each connection before the last one ends at its second question, and the last one answers."""
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        ends = connections <= 2  # A lost connection is tried twice, so that a restart of the daemon does not show.
        await reader.readuntil(b"hello")
        writer.write(HELLO)
        await reader.readuntil(b"status")
        await reader.readuntil(b"list")
        writer.write(end if ends else encode_response(2, None, {}) + encode_response(3, None, {}))
        if not ends:
            await reader.read()
        writer.close()  # From Python 3.12 on, a server waits at its end for connections that are open.

    upstream = Upstream(socket)
    async with await asyncio.start_unix_server(serve, str(socket)), asyncio.timeout(LIMIT_S):
        while connections < 3:
            answers = await asyncio.gather(
                upstream.call("status", {}), upstream.call("list", {}), return_exceptions=True
            )
            typed = [answer for answer in answers if isinstance(answer, (RegendError, dict))]
            assert typed == answers
        assert answers == [{}, {}]
        await upstream.close()
