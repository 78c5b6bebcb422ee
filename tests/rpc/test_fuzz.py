"""A million hostile inputs: each gives messages, answers or a typed error, in bounded time, and disturbs nothing.

Inputs are requests of the schema with values of all sorts, packed, then damaged in a few places, sometimes several in
one stream. The decoder and the checks of the server are the real ones; only what the handlers answer is made up. One
in a hundred streams is cut at random places. A seed stands for 1,000 inputs and is named on failure.
"""

from __future__ import annotations

import asyncio
import dataclasses
import random
from typing import Any

import msgpack
import pytest

from regend.errors import ProtocolError, RegendError
from regend.rpc.codec import Decoder, Request
from regend.rpc.schema import METHODS
from regend.rpc.server import Connection, RpcServer
from tests.ledger import record
from tests.rpc.scripted import Script

PER_SEED = 1_000
SEEDS = 4
SLOW_SEEDS = 1_000
SLOW_PARTS = 8
MAX_ERROR_CHARS = 4_000

ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**32, 2**63 - 1, -(2**63), 2**64 - 1, 0.5, -0.0, 1e308, float("inf"),
    float("nan"), "", "a", "\0", "/", "..", "../..", "/etc/passwd", "~", "*", "[", "(" * 50, "**/" * 20, "e\u0301",
    "\u202e", "x" * 300, b"", b"\xff\xfe", b"\0", [], {}, [[]], [[[[[[[[[]]]]]]]]], {"a": {}}, {"": ""}, ["a", b"b"],
    {b"k": b"v"}, [None] * 20, msgpack.ExtType(5, b"ext"), msgpack.Timestamp(1, 2),
)  # fmt: skip
LIKELY = ("apple", "/src/app", "core/debounce.py", "python", "progress", 1, 10, 1000, 0, True, False, 5.0, ["progress"])
NAMES = {name: [field.name for field in dataclasses.fields(method.request)] for name, method in METHODS.items()}
BYTES = bytes(range(0x80, 0x100)) + b"\x00\x01\x7f\xc1\xdd\xdf\xdb\xc9"


def a_message(rng: random.Random) -> bytes:
    method = rng.choice(list(NAMES))
    known = NAMES[method]
    params: Any = {name: rng.choice(LIKELY if rng.random() < 0.7 else ODD) for name in known if rng.random() < 0.6}
    chance = rng.random()
    if chance < 0.1:
        params[rng.choice(("", "unknown", "root ", b"root", 7))] = rng.choice(ODD)
    elif chance < 0.15:
        params = rng.choice(ODD)
    message: list[Any] = [0, rng.randrange(2**32), method, [params]]
    if rng.random() < 0.15:
        message[rng.randrange(4)] = rng.choice(ODD)
    elif rng.random() < 0.03:
        message.append(rng.choice(ODD))
    packed: bytes = msgpack.packb(message)
    return packed


def damaged(data: bytes, rng: random.Random) -> bytes:
    out = bytearray(data)
    for _ in range(rng.choice((0, 0, 1, 1, 2, 5))):
        at = rng.randrange(len(out) + 1)
        match rng.randrange(6):
            case 0 if out:
                out[at % len(out)] ^= 1 << rng.randrange(8)
            case 1 if out:
                out[at % len(out)] = rng.choice(BYTES)
            case 2:
                out[at:at] = bytes(rng.choices(BYTES, k=rng.randrange(1, 6)))
            case 3:
                del out[at : at + rng.randrange(1, 9)]
            case 4:
                out[at:at] = out[: rng.randrange(len(out) + 1)]
            case _:
                del out[at:]
    return bytes(out)


async def an_answer(server: RpcServer, connection: Connection, request: Request) -> None:
    try:
        assert await server.answer(connection, request)
    except RegendError as error:
        assert error.code and 0 < len(str(error)) < MAX_ERROR_CHARS, (request, error)


async def fuzz(seed: int) -> int:
    """1,000 inputs; returns how many requests got as far as a method."""
    rng, script, asked = random.Random(seed), Script(), 0
    server = RpcServer(script.handlers(), version="0")
    connection = Connection(server)
    for number in range(PER_SEED):
        stream = b"".join(damaged(a_message(rng), rng) for _ in range(1 if rng.random() < 0.9 else 3))
        decoder = Decoder()
        pieces = [stream]
        if rng.random() < 0.01:
            cut = rng.randrange(len(stream) + 1)
            pieces = [stream[:cut], stream[cut:]]
        try:
            for piece in pieces:
                decoder.feed(piece)
                for message in decoder:
                    if isinstance(message, Request):
                        await an_answer(server, connection, message)
                        asked += 1
        except ProtocolError as error:
            assert 0 < len(str(error)) < MAX_ERROR_CHARS
        except Exception as error:
            raise AssertionError(f"seed {seed}, input {number}, {stream!r}: {type(error).__name__}: {error}") from error
        script.seen.clear()
    # After all that it still answers a good client.
    good = Request(1, "pause", [])
    assert msgpack.unpackb(await server.answer(Connection(server), good))[2] is None
    return asked


def run(seeds: range) -> None:
    asked = sum(asyncio.run(fuzz(seed)) for seed in seeds)
    record("fuzz: codec and methods", len(seeds) * PER_SEED)
    assert asked > len(seeds) * PER_SEED / 5, "most inputs end before they reach a method"


def test_a_few_thousand_inputs() -> None:
    run(range(SEEDS))


@pytest.mark.slow
@pytest.mark.parametrize("part", range(SLOW_PARTS))
def test_a_million_inputs(part: int) -> None:
    size = SLOW_SEEDS // SLOW_PARTS
    run(range(1_000 + part * size, 1_000 + (part + 1) * size))
