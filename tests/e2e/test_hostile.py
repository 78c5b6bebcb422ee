"""A real daemon and clients that mean harm: each gets a typed error or is cut off, and no other client notices."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest

from regend.errors import RegendError
from tests.e2e.rig import Daemon, daemon
from tests.ledger import record
from tests.rpc.test_fuzz import LIKELY, NAMES, ODD

SECRET = "outside_secret_word"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Daemon, Path]]:
    top = tmp_path_factory.mktemp("hostile")
    root = top / "root"
    root.mkdir()
    (root / "a.py").write_text("def apple():\n    return 1\n")
    (top / "outside.py").write_text(f"def {SECRET}():\n    return 2\n")
    (root / "link.py").symlink_to(top / "outside.py")
    (root / "up").symlink_to(top)
    with daemon() as subject:
        subject.start(root).flush()
        yield subject, root


PATHS = (
    "../outside.py", "up/outside.py", "link.py", "a/../../outside.py", "/etc/passwd", "a.py\0", "\0", "", ".", "..",
    "a.py/", "A.PY", "a\u0301.py", "a" * 5_000, "/".join(["x"] * 3_000), "\ud800", "~", "$HOME", "%2e%2e/outside.py",
    "/proc/self/environ", "//a.py", "file:///etc/passwd", "a.py\n", "-rf", "*",
)  # fmt: skip


def ask(subject: Daemon, method: str, **params: Any) -> dict[str, Any] | str:
    """The answer, or the code of the error."""
    try:
        return subject.call(method, timeout_s=20, **params)
    except RegendError as error:
        return error.code
    except UnicodeEncodeError:
        return "not_sent"


@pytest.mark.parametrize("path", PATHS, ids=range(len(PATHS)))
def test_a_path_leads_nowhere_else(served: tuple[Daemon, Path], path: str) -> None:
    subject, root = served
    answers = [
        ask(subject, "outline", file=path, root=str(root)),
        ask(subject, "related", file=path, line=1, root=str(root)),
        ask(subject, "why", file=path, root=str(root)),
        ask(subject, "outline", file=f"{root}/{path}"),
        ask(subject, "search", query="apple", root=f"{root}/{path}"),
        ask(subject, "search", query="apple", path=path[:900]),
        ask(subject, "files", root=path),
        ask(subject, "reindex", path=path),
        ask(subject, "remove", path=f"{path}/nothing"),
    ]
    assert SECRET not in repr(answers)
    assert "internal_error" not in answers
    assert "connection_lost" not in answers
    assert [entry["path"] for entry in subject.call("list")["roots"]] == [str(root)]


@pytest.mark.parametrize(
    "path", ["", "relative", "/nonexistent", "/dev/null", "/etc/passwd", "/\0", "/proc/1/root", "/"]
)
def test_what_cannot_be_a_root_is_refused(served: tuple[Daemon, Path], path: str) -> None:
    subject, root = served
    assert ask(subject, "add", path=path) in ("path_error", "root_error")
    assert [entry["path"] for entry in subject.call("list")["roots"]] == [str(root)]


def nested(depth: int) -> bytes:
    return b"\x91" * depth


RAW = {
    "nesting": nested(100_000),
    "nested parameters": b"\x94\x00\x01\xa5pause" + nested(50_000),
    "a huge array": b"\xdd\xff\xff\xff\xff",
    "a huge map": b"\xdf\xff\xff\xff\xff",
    "a huge string": b"\xdb\xff\xff\xff\xff",
    "an oversized frame": msgpack.packb([0, 1, "search", [{"query": "x" * 80_000_000}]]),
    "an extension": b"\xc9\x00\x00\x00\xff\x05" + bytes(255),
    "no method": msgpack.packb([0, 1]),
    "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "zeroes": bytes(100_000),
    "reserved": b"\xc1" * 100,
}


@pytest.mark.parametrize("name", RAW)
def test_raw_bytes_end_one_connection_only(served: tuple[Daemon, Path], name: str) -> None:
    subject, _ = served
    before = subject.status()["memory"]["rss_bytes"]
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(20)
        peer.connect(str(subject.socket))
        try:
            peer.sendall(RAW[name])
            peer.shutdown(socket.SHUT_WR)
            while peer.recv(65_536):
                pass
        except (BrokenPipeError, ConnectionResetError):
            pass  # It was cut off while we were still sending.
    assert subject.paths("apple") == ["a.py"]
    assert subject.status()["memory"]["rss_bytes"] < before + 200_000_000


ODD_NAME = b"n\xffme"


def raw_answer(subject: Daemon, method: str, params: dict[str, Any]) -> Any:
    """The answer, or the code of the error; strings are sent as the bytes they are."""
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(20)
        peer.connect(str(subject.socket))
        peer.sendall(msgpack.packb([0, 1, method, [params]], use_bin_type=False))
        answers = msgpack.Unpacker(unicode_errors="surrogateescape")
        while True:
            for message in answers:
                return message[3] if message[2] is None else message[2]["code"]
            answers.feed(peer.recv(65_536))


def test_what_is_not_utf8_is_answered_everywhere(served: tuple[Daemon, Path]) -> None:
    subject, root = served
    raw_root = bytes(root)
    (root / os.fsdecode(ODD_NAME)).write_text("odd = 1\n")
    subject.flush()
    for query in (
        ODD_NAME,
        b'"%s"' % ODD_NAME,
        b"apple path:" + ODD_NAME,
        b"symbol:" + ODD_NAME,
        b"\xed\xa0\x80 apple",
    ):
        assert isinstance(raw_answer(subject, "search", {"query": query}), dict), query
    assert raw_answer(subject, "search", {"query": b"apple \xff"})["results"][0]["path"] == "a.py"
    assert raw_answer(subject, "search", {"query": "apple", "path": ODD_NAME})["results"] == []
    assert raw_answer(subject, "search", {"query": "apple", "lang": ODD_NAME}) == "filter_error"
    assert raw_answer(subject, "symbols", {"name": ODD_NAME})["symbols"] == []
    file = raw_root + b"/" + ODD_NAME
    why = raw_answer(subject, "why", {"file": file})
    assert (why["state"], why["reason"]) == ("skipped", "name_not_utf8: Its name is not valid UTF-8.")
    assert raw_answer(subject, "why", {"file": file + b"x"})["state"] == "missing"
    listed = raw_answer(subject, "files", {"root": raw_root, "state": "skipped"})["files"]
    assert "n\\xffme" in [one["path"] for one in listed]
    assert "n\\xffme" not in [
        one["path"] for one in raw_answer(subject, "files", {"root": raw_root, "after": ODD_NAME})["files"]
    ]
    for method in ("related", "outline"):
        assert raw_answer(subject, method, {"file": file}) == "path_error"
    for method in ("add", "remove", "reindex"):
        assert raw_answer(subject, method, {"path": file}) in ("root_error", "path_error")
    (root / os.fsdecode(ODD_NAME)).unlink()


def test_unknown_methods_are_named_and_the_connection_stays(served: tuple[Daemon, Path]) -> None:
    subject, _ = served
    for method in ("", "__class__", "hello.x", "_app", "handlers", "x" * 10_000, "stop\0"):
        assert ask(subject, method) == "method_not_found"
    assert subject.paths("apple") == ["a.py"]


ASKING = ("hello", "search", "symbols", "related", "outline", "status", "files", "list", "why", "config", "subscribe",
          "unsubscribe", "sync")  # fmt: skip
REQUESTS, SLOW_REQUESTS = 400, 20_000


def requests_of_all_sorts(subject: Daemon, root: Path, count: int, seed: int) -> None:
    rng = random.Random(seed)
    while count > 0:
        count -= over_one_connection(subject, root, count, rng)


def over_one_connection(subject: Daemon, root: Path, count: int, rng: random.Random) -> int:
    """Values of all sorts in the parameters of real methods: answers and typed errors, never `internal_error`.

    Returns:
        The number of values that were sent. A value that nests too deeply ends the connection.
    """
    likely = (*LIKELY, str(root), f"{root}/a.py", "a.py", "apple\udcff", "apple lang:python", "outside", "x" * 5_000)
    bad = []
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(30)
        peer.connect(str(subject.socket))
        answers = msgpack.Unpacker(unicode_errors="surrogateescape")
        for number in range(count):
            method = rng.choice(ASKING)
            params = {
                name: rng.choice(likely if rng.random() < 0.8 else ODD)
                for name in NAMES[method] if rng.random() < 0.6 and name != "timeout_s"
            }  # fmt: skip
            peer.sendall(msgpack.packb([0, number, method, [params]], unicode_errors="surrogatepass"))
            while True:
                found = next((message for message in answers if message[0] == 1), None)
                if found is not None:
                    break
                data = peer.recv(65_536)
                if not data:
                    assert bad == []
                    return number + 1
                answers.feed(data)
            if found[2] is not None and found[2]["code"] == "internal_error":
                bad.append((method, params))
            assert SECRET not in repr(found), (method, params)
    assert bad == []
    return count


def test_requests_of_all_sorts(served: tuple[Daemon, Path]) -> None:
    requests_of_all_sorts(*served, REQUESTS, seed=1)
    assert served[0].paths("apple") == ["a.py"]
    record("fuzz: methods of a real daemon", REQUESTS)


@pytest.mark.slow
def test_many_requests_of_all_sorts(served: tuple[Daemon, Path]) -> None:
    requests_of_all_sorts(*served, SLOW_REQUESTS, seed=100_000)
    assert served[0].paths("apple") == ["a.py"]
    record("fuzz: methods of a real daemon", SLOW_REQUESTS)


def test_slow_clients_do_not_hold_up_others(served: tuple[Daemon, Path]) -> None:
    subject, _ = served
    slow = []
    try:
        for _ in range(100):
            peer = socket.socket(socket.AF_UNIX)
            peer.connect(str(subject.socket))
            peer.sendall(b"\x94\x00")  # The beginning of a request, and never its end.
            slow.append(peer)
        assert subject.paths("apple") == ["a.py"]
    finally:
        for peer in slow:
            peer.close()
