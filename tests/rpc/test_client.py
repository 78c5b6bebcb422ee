"""The synchronous client: calls, notifications, and an error that says what to do for each way it can go wrong."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from regend.errors import ConnectionLostError, DaemonNotRunningError, ProtocolError, RootError, RpcError
from regend.rpc.client import Client, connect_error
from regend.rpc.codec import encode_notification, encode_response
from regend.rpc.connection import ServerLimits
from tests.rpc.scripted import ROOT, Script, ServerThread, short_directory


@pytest.fixture
def directory() -> Iterator[Path]:
    with short_directory() as path:
        yield path


@pytest.fixture
def served(directory: Path) -> Iterator[ServerThread]:
    with ServerThread(directory / "s") as server:
        yield server


def peer_that_sends(path: Path, *answers: bytes) -> threading.Thread:
    """A listener that answers each request with the next of `answers`, then closes."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def serve() -> None:
        with listener, listener.accept()[0] as peer:
            for answer in answers:
                peer.recv(65536)
                peer.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    return thread


HELLO = encode_response(1, None, {"server": "regend"})


def test_hello_and_calls(served: ServerThread) -> None:
    with Client(served.path) as client:
        assert (client.server["server"], client.server["pid"]) == ("regend", 4242)
        assert "search" in client.server["capabilities"]
        assert client.call("pause") == {"paused": True}
        assert [r["path"] for r in client.call("search", query="x", k=1)["results"]] == ["core/debounce.py"]


def test_the_default_socket_is_that_of_the_environment(served: ServerThread, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGEND_SOCKET", str(served.path))
    with Client() as client:
        assert client.call("list")["roots"][0]["path"] == ROOT


def test_an_error_comes_as_its_class_and_the_connection_stays(served: ServerThread) -> None:
    with Client(served.path) as client:
        with pytest.raises(RootError, match="/nope is not a root"):
            client.call("remove", path="/nope")
        with pytest.raises(RpcError, match="k") as caught:
            client.call("search", query="x", k=0)
        assert (caught.value.code, caught.value.data) == ("invalid_params", {"field": "k"})
        assert client.call("resume") == {"paused": False}


@pytest.mark.parametrize("params", [{"query": "x" * (1 << 20)}, {"globs": ["x"] * 257}, {"x": [[[[[[[[]]]]]]]]}])
def test_what_the_daemon_would_not_take_is_not_sent(served: ServerThread, params: dict[str, object]) -> None:
    with Client(served.path) as client:
        with pytest.raises(RpcError) as caught:
            client.call("search", **params)
        assert caught.value.code == "too_large"
        assert client.call("resume") == {"paused": False}


def test_a_file_name_that_is_no_text_comes_back_unchanged(served: ServerThread) -> None:
    name = os.fsdecode(b"/src/caf\xe9")
    with Client(served.path) as client:
        assert client.call("add", path=name)["root"] == name
        assert os.fsencode(client.call("list")["roots"][1]["path"]) == b"/src/caf\xe9"


def test_notifications_during_a_call_are_kept_in_order(served: ServerThread) -> None:
    server = served.server
    assert server is not None
    with Client(served.path) as client:
        assert client.call("subscribe", topics=["index", "state"]) == {"subscribed": ["index", "state"]}
        served.run(server.publish, "state", {"n": 1})
        served.run(server.publish, "progress", {"n": 2})
        served.run(server.publish, "index", {"n": 3})
        client.call("pause")
        got = client.notifications(timeout_s=5)
        assert [next(got), next(got)] == [("state", {"n": 1}), ("index", {"n": 3})]
        client.call("unsubscribe")
        served.run(server.publish, "state", {"n": 4})
        client.call("pause")
        assert list(client.notifications(timeout_s=0)) == []


@pytest.mark.parametrize("number", [errno.EPERM, errno.EACCES, errno.EAFNOSUPPORT])
def test_a_sandbox_is_named_and_another_user_only_where_the_socket_is_his(
    directory: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = OSError(number, os.strerror(number))
    with ServerThread(directory / "s") as server:
        said = connect_error(error, str(server.path), 1.0)
        assert said.code == "sandboxed" and "a sandbox forbids it" in str(said)
        owner = os.geteuid()
        monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
        said = connect_error(error, str(server.path), 1.0)
        assert said.code == "foreign_socket" and f"belongs to user {owner}" in str(said)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
@pytest.mark.parametrize(("mode", "code"), [(0o700, "foreign_socket"), (0o755, "sandboxed")])
def test_a_closed_directory_of_root_is_no_sandbox(mode: int, code: str, directory: Path) -> None:
    place = directory / "d"
    place.mkdir()
    (place / "s").touch()
    directory.chmod(0o755)
    place.chmod(mode)
    error = OSError(errno.EACCES, os.strerror(errno.EACCES))
    (place / "s").chmod(0o600)
    os.chown(place / "s", 65_534, 65_534)
    os.seteuid(65_534)
    try:
        said = connect_error(error, str(place / "s"), 1.0)
    finally:
        os.seteuid(0)
    assert said.code == code, said
    assert f"{place} belongs to user 0" in str(said) or code == "sandboxed"


def test_a_process_that_may_not_make_sockets_gets_the_same_sentence(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> socket.socket:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(socket, "socket", refuse)
    with pytest.raises(RpcError, match="a sandbox forbids it"):
        Client(directory / "s").connect()


def test_no_daemon_is_said_with_the_remedy(directory: Path) -> None:
    with pytest.raises(DaemonNotRunningError, match="start one with `regenctl start`"):
        Client(directory / "s").connect()


def test_a_stale_socket_is_no_daemon(directory: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(directory / "s"))
    with pytest.raises(DaemonNotRunningError):
        Client(directory / "s").connect()


def test_a_path_through_a_file_is_no_daemon(directory: Path) -> None:
    (directory / "f").write_text("")
    with pytest.raises(DaemonNotRunningError):
        Client(directory / "f" / "s").connect()


def test_a_path_that_is_too_long_is_named(directory: Path) -> None:
    with pytest.raises(RpcError, match="too long"):
        Client(directory / ("x" * 120)).connect()


def test_a_call_without_an_answer_ends_at_its_deadline(directory: Path) -> None:
    release = threading.Event()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(directory / "s"))
    listener.listen()

    def serve() -> None:
        with listener, listener.accept()[0] as peer:
            peer.recv(65536)
            peer.sendall(HELLO)
            release.wait(10)

    thread = threading.Thread(target=serve)
    thread.start()
    client = Client(directory / "s", timeout_s=0.2)
    client.connect()
    with pytest.raises(RpcError, match=r"did not answer `status`") as caught:
        client.call("status")
    assert caught.value.code == "timeout"
    with pytest.raises(ConnectionLostError, match="connect again"):
        client.call("status")
    release.set()
    thread.join()


def test_the_time_a_method_waits_is_added_to_the_deadline(directory: Path) -> None:
    with ServerThread(directory / "s", Script(pending=1)) as served:
        with Client(served.path, timeout_s=0.5) as client, pytest.raises(RpcError, match="Not everything") as caught:
            client.call("flush", timeout_s=0.8)
        assert caught.value.code == "timeout"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"\xc1", "MessagePack"),
        (encode_response(99, None, {}), "was due"),
        (encode_response(2, None, []), "not a map"),
        (b"\x94\x00\x01\xa1m\x90", "was due, not Request"),
    ],
)
def test_a_broken_answer_closes_the_connection(directory: Path, answer: bytes, words: str) -> None:
    thread = peer_that_sends(directory / "s", HELLO, answer)
    client = Client(directory / "s")
    client.connect()
    with pytest.raises(ProtocolError, match=words):
        client.call("status")
    with pytest.raises(ConnectionLostError):
        client.call("status")
    thread.join()


def test_a_daemon_that_goes_away_is_a_lost_connection(directory: Path) -> None:
    thread = peer_that_sends(directory / "s", HELLO, b"\x94\x01")
    client = Client(directory / "s")
    client.connect()
    with pytest.raises(ConnectionLostError, match="closed the connection"):
        client.call("status")
    thread.join()


def test_another_protocol_version_is_refused(directory: Path) -> None:
    refusal = {"code": "unsupported_protocol", "message": "both to the same release", "data": {"protocol": 9}}
    thread = peer_that_sends(directory / "s", encode_response(1, refusal, None))
    with pytest.raises(RpcError, match="same release") as caught:
        Client(directory / "s").connect()
    assert caught.value.code == "unsupported_protocol"
    thread.join()


def test_the_daemons_parting_words_are_the_error(directory: Path) -> None:
    words = encode_notification("error", {"code": "protocol_error", "message": "too large", "data": None})
    thread = peer_that_sends(directory / "s", HELLO, words)
    client = Client(directory / "s")
    client.connect()
    with pytest.raises(ProtocolError, match="too large"):
        client.call("status")
    thread.join()


def test_a_full_house_is_said(directory: Path) -> None:
    limits = ServerLimits(max_connections=1)
    with ServerThread(directory / "s", limits=limits) as served, Client(served.path):
        with pytest.raises(RpcError, match="1 clients are connected") as caught:
            Client(served.path).connect()
        assert caught.value.code == "too_many_connections"


def test_stop_reaches_the_daemon(served: ServerThread) -> None:
    with Client(served.path) as client:
        assert client.call("stop") == {"stopping": True}
    assert isinstance(served.script.stopped, asyncio.Event)
    assert served.script.stopped.is_set()
