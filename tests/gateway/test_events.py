"""Server-sent events: what the daemon notifies reaches every reader; slow ones lose events and are told so."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest

from regend.gateway.events import MAX_KEPT, MAX_READERS, _Reader
from tests.gateway.rig import Gateway, gateway
from tests.rpc.scripted import ROOT, ServerThread, short_directory


@pytest.fixture
def daemon() -> Iterator[ServerThread]:
    with short_directory() as directory, ServerThread(directory / "s") as made:
        yield made


@pytest.fixture
def served(daemon: ServerThread) -> Iterator[Gateway]:
    with gateway(daemon.path) as made:
        yield made


def read_from(served: Gateway, path: str = "/api/events") -> tuple[http.client.HTTPConnection, Any]:
    connection = served.connection()
    connection.request("GET", path, headers={"Authorization": f"Bearer {served.token}"})
    return connection, connection.getresponse()


def event(stream: Any) -> tuple[str, dict[str, Any]]:
    """The next event; comments and the time to reconnect are left out."""
    while True:
        line = stream.readline().decode().rstrip("\n")
        if line.startswith("event: "):
            data = stream.readline().decode()
            return line.removeprefix("event: "), json.loads(data.removeprefix("data: "))
        assert line == "" or line.startswith((":", "retry: ")), line


def publish(daemon: ServerThread, topic: str, **payload: Any) -> None:
    assert daemon.server is not None
    daemon.run(daemon.server.publish, topic, payload)


def test_every_reader_gets_what_it_asked_for(daemon: ServerThread, served: Gateway) -> None:
    first, all_of_it = read_from(served)
    assert all_of_it.headers["Content-Type"] == "text/event-stream"
    assert event(all_of_it) == ("state", {"root": "", "state": "connected", "reason": ""})
    second, progress = read_from(served, "/api/events?topics=progress")
    publish(daemon, "index", root=ROOT, generation=8, complete=True, paths=["a.py"], more=0)
    publish(daemon, "progress", root=ROOT, pending=3)
    assert event(all_of_it) == (
        "index", {"root": ROOT, "generation": 8, "complete": True, "paths": ["a.py"], "more": 0}
    )  # fmt: skip
    assert event(all_of_it) == ("progress", {"root": ROOT, "pending": 3})
    assert event(progress) == ("progress", {"root": ROOT, "pending": 3})
    first.close()
    second.close()


def test_wrong_topics_and_too_many_readers_are_refused(served: Gateway) -> None:
    assert served.get("/api/events?topics=nope").code == "invalid_params"
    assert served.get("/api/events?bogus=1").code == "invalid_params"
    readers = [read_from(served) for _ in range(MAX_READERS)]
    refused = served.get("/api/events")
    assert (refused.status, refused.code) == (503, "busy")
    for connection, _ in readers:
        connection.close()


def test_readers_hear_that_the_daemon_is_away_and_that_it_is_back(daemon: ServerThread, served: Gateway) -> None:
    connection, stream = read_from(served)
    assert event(stream)[1]["state"] == "connected"
    daemon.stop()
    assert event(stream)[1]["state"] == "away"
    with ServerThread(daemon.path):
        while (state := event(stream)[1]["state"]) == "away":
            pass
        assert state == "connected"
    connection.close()


async def test_a_slow_reader_loses_the_oldest_and_is_told_how_many() -> None:
    reader = _Reader(frozenset(["index"]))
    for number in range(MAX_KEPT + 5):
        reader.put("index", b"%d\n" % number)
    reader.put("progress", b"other\n")
    taken = await asyncio.wait_for(reader.taken(), 5)
    lost, first, *_, last = taken.replace(b"\n\n", b"\n").splitlines()[1:]
    assert (lost, first, last) == (b'data: {"count":5}', b"5", b"%d" % (MAX_KEPT + 4))
