"""The endpoints answer what the socket answers; what is wrong with a request is said in JSON, with a fitting status."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket as sockets
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from aiohttp import web

from regend.gateway import listening
from regend.gateway.api import ASKED, MAX_BODY_BYTES
from regend.gateway.settings import Address
from regend.rpc.client import Client
from tests.gateway.rig import Gateway, gateway
from tests.rpc.scripted import ROOT, ServerThread, short_directory

PARAMS: dict[str, dict[str, object]] = {
    "search": {"query": "quiet time", "k": 3, "explain": True},
    "symbols": {"name": "push"},
    "related": {"file": f"{ROOT}/core/debounce.py", "line": 10},
    "outline": {"file": f"{ROOT}/core/debounce.py"},
    "why": {"file": f"{ROOT}/a.log"},
    "status": {},
    "list": {},
    "files": {"root": ROOT, "state": "skipped"},
}


@pytest.fixture(scope="module")
def socket() -> Iterator[Path]:
    with short_directory() as directory, ServerThread(directory / "s") as served:
        yield served.path


@pytest.fixture(scope="module")
def served(socket: Path) -> Iterator[Gateway]:
    with gateway(socket) as made:
        yield made


def test_a_url_may_hold_a_pasted_text(served: Gateway, socket: Path) -> None:
    query = "quiet time " * 1_000
    with Client(socket) as client:
        wanted = client.call("search", query=query)
    assert served.get(f"/api/search?query={quote(query)}").json == wanted
    assert served.get(f"/?q={quote(query)}").status == 200


@pytest.mark.parametrize("method", ASKED)
def test_each_endpoint_answers_as_the_socket(served: Gateway, socket: Path, method: str) -> None:
    params = PARAMS[method]
    with Client(socket) as client:
        wanted = client.call(method, **params)
    url = "&".join(
        f"{name}={quote(str(value).lower() if value is True else str(value))}" for name, value in params.items()
    )
    for reply in (served.post(f"/api/{method}", params), served.get(f"/api/{method}?{url}")):
        assert reply.status == 200, reply
        assert reply.json == wanted
        assert reply.headers["Content-Type"] == "application/json"
        assert reply.headers["Cache-Control"] == "no-store"


def test_lists_in_a_url_are_parameters_that_come_several_times(served: Gateway) -> None:
    assert served.get(f"/api/search?query=x&globs=*.py&globs=!tests&under={ROOT}").status == 200


def test_a_whole_number_may_be_written_as_a_fraction(served: Gateway) -> None:
    assert served.post("/api/search", {"query": "x", "k": 3.0}).status == 200
    assert served.post("/api/search", {"query": "x", "k": 3.5}).code == "invalid_params"
    assert served.ask("POST", "/api/search", b'{"query": "x", "k": 1e400}').code in ("invalid_params", "not_json")


def test_an_empty_body_is_no_parameters(served: Gateway) -> None:
    assert served.ask("POST", "/api/status").status == 200
    assert served.ask("POST", "/api/search").code == "invalid_params"


def test_nothing_that_changes_the_index_can_be_asked(served: Gateway) -> None:
    for method in ("add", "remove", "reindex", "pause", "resume", "stop", "flush", "verify", "config"):
        assert served.post(f"/api/{method}", {"path": ROOT}).status == 404


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/api/search", None, 400, "invalid_params"),
        ("GET", "/api/search?query=x&k=many", None, 400, "invalid_params"),
        ("GET", "/api/search?query=x&k=0", None, 400, "invalid_params"),
        ("GET", "/api/search?query=x&query=y", None, 400, "invalid_params"),
        ("GET", "/api/search?query=x&bogus=1", None, 400, "invalid_params"),
        ("GET", "/api/search?query=x&overlays=1", None, 400, "invalid_params"),
        ("GET", "/api/status?x=1", None, 400, "invalid_params"),
        ("POST", "/api/search", {"query": 3}, 400, "invalid_params"),
        ("POST", "/api/search", {"query": "x", "k": 2**80}, 400, "invalid_params"),
        ("POST", "/api/search", {"query": "x", "bogus": 1}, 400, "invalid_params"),
        ("POST", "/api/search", {"query": "x", "overlays": [{"path": 1}]}, 400, "invalid_params"),
        ("POST", "/api/search", [1], 400, "invalid_params"),
        ("POST", "/api/search", b"{", 400, "not_json"),
        ("POST", "/api/search", b'{"query": "\\ud800"}', 400, "not_json"),
        ("POST", "/api/search", b"[" * 100_000, 400, "not_json"),
        ("POST", "/api/search", b"\xff\xfe", 400, "not_json"),
        ("POST", "/api/search", b" " * (MAX_BODY_BYTES + 1), 413, "too_large"),
        ("POST", "/api/related", {"file": "/elsewhere/a.py"}, 404, "path_error"),
        ("POST", "/api/files", {"root": "/elsewhere"}, 404, "root_error"),
        ("GET", "/api/nope", None, 404, "not_found"),
        ("GET", "/nope", None, 404, "not_found"),
        ("GET", "/static/nope.js", None, 404, "not_found"),
        ("GET", "/static/../app.py", None, 404, "not_found"),
        ("GET", "/static/%2e%2e/app.py", None, 404, "not_found"),
        ("DELETE", "/api/search", None, 405, "method_not_allowed"),
        ("PUT", "/api/status", None, 405, "method_not_allowed"),
        ("GET", "/?token=wrong", None, 401, "unauthorized"),
    ],
)
def test_mistakes(served: Gateway, method: str, path: str, body: object, status: int, code: str) -> None:
    reply = served.ask(method, path, body)
    assert (reply.status, reply.code) == (status, code)


@pytest.mark.parametrize(
    "body",
    [
        {"query": "x " * (1 << 20)},
        {"query": "x", "globs": ["*.py"] * 257},
        {"query": "x", "overlays": [{"path": f"{ROOT}/a.py", "text": "x" * (1 << 20)}]},
    ],
    ids=["query", "globs", "overlay"],
)
def test_what_no_message_to_the_daemon_holds_is_refused_and_the_next_is_answered(
    served: Gateway, body: dict[str, object]
) -> None:
    reply = served.post("/api/search", body)
    assert (reply.status, reply.code) == (413, "too_large")
    assert (served.get("/api/status").status, served.get("/readyz").status) == (200, 200)


def test_a_body_of_another_type_is_refused(served: Gateway) -> None:
    """A form of another site can send such bodies without asking first."""
    for kind in ("text/plain", "application/x-www-form-urlencoded", None):
        reply = served.ask("POST", "/api/search", {"query": "x"}, {"Content-Type": kind})
        assert (reply.status, reply.code) == (415, "not_json_type")


@pytest.mark.parametrize("path", ["/api/status", "/page/facts", "/api/openapi.json", "/api/nope", "/metrics", "/mcp"])
def test_no_data_without_the_token(served: Gateway, path: str) -> None:
    for given in (None, "Bearer wrong", "Basic eDp5"):
        reply = served.get(path, Authorization=given)
        assert (reply.status, reply.code) == (401, "unauthorized")
        assert reply.headers["WWW-Authenticate"].startswith("Bearer")
    cookie = f"regend-token-{served.port}={served.token}"
    assert served.get("/api/status", Authorization=None, Cookie=cookie).status == 200


@pytest.mark.parametrize("path", ["/", "/static/app.js", "/healthz", "/readyz", "/api/status"])
def test_another_host_or_origin_is_refused_everywhere(served: Gateway, path: str) -> None:
    for headers, code in (
        ({"Host": "evil.example"}, "wrong_host"),
        ({"Host": f"evil.example:{served.port}"}, "wrong_host"),
        ({"Origin": "http://evil.example"}, "wrong_origin"),
        ({"Origin": "null"}, "wrong_origin"),
        ({"Sec-Fetch-Site": "cross-site"}, "wrong_origin"),
    ):
        reply = served.get(path, **headers)
        assert (reply.status, reply.code) == (403, code), headers
    assert served.get(path, Host=None).status == 400
    assert served.get(path, Origin=f"http://127.0.0.1:{served.port}").status == 200


def test_the_link_hands_the_token_over_as_a_cookie_and_leaves_the_address(served: Gateway) -> None:
    reply = served.get(f"/?token={served.token}&q=a+b", Authorization=None)
    assert (reply.status, reply.headers["Location"]) == (303, "/?q=a+b")
    cookie = reply.headers["Set-Cookie"]
    for word in (f"regend-token-{served.port}={served.token}", "HttpOnly", "SameSite=Strict", "Path=/"):
        assert word in cookie


def test_the_page_loads_nothing_from_elsewhere(served: Gateway) -> None:
    page = served.get("/", Authorization=None)
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    todo, seen = re.findall(r'(?:src|href)="([^"]+)"', page.body.decode()), set[str]()
    while todo:
        path = todo.pop()
        if path in seen:
            continue
        seen.add(path)
        reply = served.get(path, Authorization=None)
        assert reply.status == 200, path
        folder = path.rpartition("/")[0]
        imported = re.findall(rb'from "\./([^"]+)"', reply.body)
        todo += [f"{folder}/{name.decode()}" for name in imported]
        again = served.get(path, **{"If-None-Match": reply.headers["ETag"]})
        assert (again.status, again.body) == (304, b"")
    assert {"/static/app.js", "/static/opened.js", "/static/vendor/preact-htm.js"} <= seen


def test_every_path_answers_head_at_once(served: Gateway) -> None:
    """Also the stream of events, which has no end."""
    for path in (*served.get("/api/openapi.json").json["paths"], "/", "/metrics"):
        with contextlib.closing(served.connection()) as connection:
            connection.request("HEAD", path, headers={"Authorization": f"Bearer {served.token}"})
            answer = connection.getresponse()
            assert answer.read() == b""
            assert answer.status in ((405,) if path in ("/api/events", "/mcp") else (200, 400)), path
            connection.request("GET", "/healthz")
            assert connection.getresponse().read() == b"ok\n"


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, gzip", "nonsense"])
def test_a_body_that_is_not_encoded_as_it_says_is_refused(served: Gateway, encoding: str) -> None:
    for path in ("/api/search", "/mcp"):
        reply = served.ask("POST", path, b"\x1f\x8b nonsense" * 9, {"Content-Encoding": encoding})
        assert reply.status == 400, reply
    assert served.get("/api/status").status == 200


def test_the_probes(served: Gateway) -> None:
    assert served.get("/healthz", Authorization=None).body == b"ok\n"
    assert served.get("/readyz", Authorization=None).body == b"ready\n"


def test_a_request_that_comes_slowly_or_broken_holds_nothing_up(served: Gateway) -> None:
    with sockets.create_connection(("127.0.0.1", served.port), timeout=10) as slow:
        slow.sendall(b"POST /api/search HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n")
        with sockets.create_connection(("127.0.0.1", served.port), timeout=10) as broken:
            broken.sendall(b"\x00\x01nonsense\r\n\r\n")
            assert b" 400 " in broken.recv(4_096)
        assert served.get("/api/status").status == 200


async def test_a_connection_that_asks_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "FIRST_REQUEST_S", 0.2)
    monkeypatch.setattr(listening, "MAX_CONNECTIONS", 2)
    accepted = listening.Listening()

    async def answer(request: web.BaseRequest) -> web.Response:
        accepted.note(request)
        return web.Response(text="ok")

    listener, shown = listening.open_socket(Address(host="127.0.0.1"))
    server = web.Server(answer)
    await accepted.start(server, listener)
    port = int(shown.rpartition(":")[2])
    try:
        silent, _ = await asyncio.open_connection("127.0.0.1", port)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"200 OK" in await asyncio.wait_for(reader.readline(), 5)
        further, _ = await asyncio.open_connection("127.0.0.1", port)
        assert await asyncio.wait_for(further.read(), 5) == b""
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(silent.read(), 5) == b""
        await reader.readuntil(b"ok")
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"200 OK" in await asyncio.wait_for(reader.readline(), 5)
    finally:
        accepted.stop()
        await server.shutdown(1)


def test_the_page_gets_results_first_and_then_their_colours(served: Gateway) -> None:
    for path, params in (("/page/search", {"query": "quiet time"}), ("/page/related", PARAMS["related"])):
        found, colours = served.post(path, params).body.splitlines()
        snippets = [result["snippet"] for result in json.loads(found)["results"]]
        assert snippets
        runs = json.loads(colours)["runs"]
        assert ["\n".join("".join(run[1] for run in line) for line in lines) for lines in runs] == snippets


def test_without_a_daemon_it_says_so_and_finds_the_next_one() -> None:
    with short_directory() as directory, ServerThread(directory / "s") as daemon, gateway(daemon.path) as made:
        assert made.get("/api/status").status == 200
        daemon.stop()
        reply = made.get("/api/status")
        assert (reply.status, reply.code) == (503, "daemon_not_running")
        assert made.get("/readyz").status == 503
        assert made.get("/healthz").status == 200
        with ServerThread(directory / "s"):
            assert made.get("/api/status").status == 200
            assert made.get("/readyz").status == 200


def test_the_description_fits_the_declarations(served: Gateway) -> None:
    found = served.get("/api/openapi.json").json
    search = found["components"]["schemas"]["SearchRequest"]
    assert search["required"] == ["query"]
    assert search["properties"]["k"]["anyOf"][0] == {"type": "integer", "minimum": 1, "maximum": 1000}
    assert search["properties"]["query"]["description"].startswith("words, an identifier")
    assert set(found["paths"]) >= {f"/api/{method}" for method in ASKED}
    references = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(found)))
    assert references <= set(found["components"]["schemas"])
