"""The chunks of a client's unsaved buffers are kept for its connection, are bounded, and go with it."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from regend.chunking.chunker import chunk_content
from regend.chunking.packing import pack
from regend.config import LimitConfig
from regend.daemon.handlers.buffers import MAX_BUFFERS, Buffer, Buffers
from regend.daemon.roots import ServedRoot
from regend.disk.ignore.attributes import NO_ATTRIBUTES
from regend.disk.ignore.decision import Decision
from regend.rpc.connection import Connection
from regend.types import NOT_DECLARED, UNSURE, Declared, PackedFile, RootId


class Peer:
    """Stands for a connection: something that lives as long as its client."""


@dataclass
class Rig:
    buffers: Buffers
    served: ServedRoot
    chunked: list[str]

    async def prepare(self, peer: Peer, *texts: tuple[str, str]) -> tuple[int, tuple[str, ...]]:
        """Send texts by path; returns how many overlays came of them, and the notes."""
        asked = [Buffer(self.served, path, text) for path, text in texts]
        prepared = await self.buffers.prepare(cast("Connection", peer), asked)
        return len(prepared.files), prepared.notes


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """Buffers over real chunking, without a model, and an index in which nothing is."""
    chunked: list[str] = []

    async def chunk(
        _root: str, path: str, limits: LimitConfig, _lane: object, *, alone: bool, content: bytes, declared: Declared
    ) -> PackedFile:
        assert not alone
        assert declared == NOT_DECLARED
        chunked.append(path)
        return pack(chunk_content(content, "python", UNSURE, limits))

    served: Any = SimpleNamespace(
        record=SimpleNamespace(root=RootId(1), pool=1), path=str(tmp_path), limits=LimitConfig(),
        rules=SimpleNamespace(
            decide=lambda path, is_directory: Decision(path.endswith(".log")), attributes=lambda path: NO_ATTRIBUTES
        ),
    )  # fmt: skip
    pool: Any = SimpleNamespace(chunk=chunk)
    model: Any = SimpleNamespace(local=False)
    snapshot: Any = SimpleNamespace(roots={}, pools={})

    async def ask(_served: object, call: Callable[[], object]) -> object:
        return call()

    roots: Any = SimpleNamespace(ask=ask)
    yield Rig(Buffers(roots, pool, model, lambda: snapshot), served, chunked)


async def test_what_did_not_change_is_not_chunked_again(rig: Rig) -> None:
    peer = Peer()
    for text in ("a = 1\n", "a = 1\n", "a = 2\n"):
        assert await rig.prepare(peer, ("a.py", text)) == (1, ())
    assert rig.chunked == ["a.py", "a.py"]
    assert await rig.prepare(Peer(), ("a.py", "a = 2\n")) == (1, ())
    assert len(rig.chunked) == 3, "another client's buffers are its own"


@pytest.mark.parametrize(("name", "reason"), [("a.py~", "editor_file"), ("go.sum", "generated")])
async def test_a_name_that_is_skipped_is_skipped_unsaved_too(rig: Rig, name: str, reason: str) -> None:
    assert await rig.prepare(Peer(), (name, "a = 1\n")) == (
        0, (f"The unsaved text of {name} is not searched: {reason}.",),
    )  # fmt: skip
    assert rig.chunked == []


async def test_it_goes_with_the_connection(rig: Rig) -> None:
    peer, other = Peer(), Peer()
    await rig.prepare(peer, ("a.py", "a = 1\n"))
    await rig.prepare(other, ("b.py", "b = 1\n"))
    assert len(rig.buffers._held) == 2
    del peer
    gc.collect()
    (held,) = rig.buffers._held.values()
    assert [path for _, path in held] == ["b.py"]


async def test_no_more_is_kept_than_one_request_may_bring(rig: Rig) -> None:
    peer = Peer()
    for n in range(MAX_BUFFERS + 10):
        await rig.prepare(peer, (f"f{n}.py", f"a = {n}\n"))
    (held,) = rig.buffers._held.values()
    assert len(held) == MAX_BUFFERS
    assert await rig.prepare(peer, ("debug.log", "a = 1\n")) == (
        0, ("debug.log is ignored (`regenctl why`), so its unsaved text is not searched.",),
    )  # fmt: skip


async def test_requests_of_one_client_at_the_same_time_see_their_own_texts(rig: Rig) -> None:
    peer = Peer()
    found = await asyncio.gather(*(rig.prepare(peer, ("a.py", f"a = {n}\n")) for n in range(20)))
    assert found == [(1, ())] * 20
