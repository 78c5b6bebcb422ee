"""`regenctl` answers senseless arguments, and output that it cannot write, with one sentence and no traceback."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from regend.cli.arguments import COMMANDS, GLOBAL
from regend.cli.main import main
from regend.errors import RpcError
from regend.rpc.aio import AsyncClient
from regend.rpc.client import Client, check_listener
from tests.rpc.scripted import Script, ServerThread, short_directory

TOO_LONG = 10**30


@pytest.fixture
def socket_path() -> Iterator[Path]:
    with short_directory() as directory, ServerThread(directory / "s", Script()):
        yield directory / "s"


@pytest.mark.parametrize(
    "command",
    [["add", ""], ["remove", ""], ["reindex", ""], ["why", ""], ["outline", ""], ["related", ""]],
    ids=" ".join,
)
def test_an_empty_path_is_not_the_working_directory(
    socket_path: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--socket", str(socket_path), *command]) == 2
    assert "The path is empty" in capsys.readouterr().err


def test_a_line_too_large_for_the_wire(socket_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--socket", str(socket_path), "related", f"/src/app/a.py:{TOO_LONG}"]) == 2
    assert "cannot be sent" in capsys.readouterr().err
    with Client(socket_path) as client, pytest.raises(RpcError) as caught:
        client.call("related", file="/x", line=TOO_LONG)
    assert caught.value.code == "invalid_params"

    async def ask() -> str:
        async with await AsyncClient.connect(socket_path) as client:
            with pytest.raises(RpcError) as caught:
                await client.call("related", file="/x", line=TOO_LONG)
            assert await client.call("pause") == {"paused": True}
            return caught.value.code

    assert asyncio.run(ask()) == "invalid_params"


STRANGER = 54_321
LISTEN = """
import os, socket, sys
os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[2]))
with socket.socket(socket.AF_UNIX) as sock:
    sock.bind(sys.argv[1]); os.chmod(sys.argv[1], 0o777); sock.listen(); print("listening", flush=True)
    for _ in range(2):
        peer, _ = sock.accept()
        print(len(peer.recv(1000)), flush=True)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_a_stranger_is_asked_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with short_directory() as directory:
        os.chmod(directory, 0o777)
        path = directory / "s"
        command = [sys.executable, "-c", LISTEN, str(path), str(STRANGER)]
        stranger = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert stranger.stdout is not None and stranger.stdout.readline() == "listening\n"
            monkeypatch.setattr("os.geteuid", lambda: 1_000)
            with pytest.raises(RpcError, match=f"belongs to user {STRANGER}") as caught:
                Client(path).connect()
            assert caught.value.code == "foreign_socket"
            assert stranger.stdout.readline() == "0\n", "not a byte was sent"
            with pytest.raises(RpcError, match=f"belongs to user {STRANGER}"):
                asyncio.run(AsyncClient.connect(path))
            assert stranger.stdout.readline() == "0\n"
            assert stranger.wait(10) == 0
        finally:
            stranger.kill()
            stranger.wait(10)


def test_who_may_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for own, asked, allowed in ((1_000, 1_000, True), (1_000, 0, True), (0, 1_000, True), (1_000, 1_001, False)):
        monkeypatch.setattr("os.geteuid", lambda own=own: own)
        check_listener(None, "/s")
        try:
            check_listener(asked, "/s")
        except RpcError:
            assert not allowed
        else:
            assert allowed


@pytest.mark.parametrize(
    ("where", "code", "said"),
    [
        (">/dev/full", 2, "The answer could not be written: No space left on device"),
        (">&-", 0, ""),
        (">&- 2>&-", 0, ""),
    ],
)
def test_where_nothing_can_be_written(socket_path: Path, where: str, code: int, said: str) -> None:
    command = f'"{sys.executable}" -m regend.cli.main --socket "{socket_path}" status {where}'
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60, env=dict(os.environ))
    assert (done.returncode, "Traceback" in done.stderr) == (code, False)
    assert said in done.stderr


ESCAPE = "\x1b[2J\x9b2Jvil"


@pytest.mark.parametrize(
    "words",
    [
        ["outline", f"/{ESCAPE}/a.py"], ["search", "x", "--root", f"/{ESCAPE}"], [ESCAPE],
        ["remove", f"/{ESCAPE}"], ["status", f"--{ESCAPE}"], ["status", ESCAPE],
        ["search", "x", "--all", "--overlay", ESCAPE],
        ["config", "get", ESCAPE], ["mcp", "install", ESCAPE], ["mcp", ESCAPE], ["logs", "-n", ESCAPE],
        ["search", "x", "--format", ESCAPE], ["list", "--files", f"/{ESCAPE}"],
    ],
    ids=lambda words: words[0].partition("\x1b")[0] or "command",
)  # fmt: skip
def test_no_error_controls_the_terminal(
    socket_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = main(["--socket", str(socket_path), *words])
    except SystemExit as end:
        code = int(end.code or 0)
    assert code == 2
    done = capsys.readouterr()
    assert "vil" in done.err + done.out
    assert not {"\x1b", "\x9b"} & set(done.err + done.out)


class GermanScript(Script):
    """Finds a file whose name is not ASCII."""

    async def on_search(self, connection: Any, request: Any) -> Any:
        answer = await super().on_search(connection, request)
        return replace(answer, results=tuple(replace(found, path="gr\xf6\xdfe.py") for found in answer.results))


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-16", "ascii:strict"])
def test_any_encoding_of_the_streams(encoding: str) -> None:
    """Places are printed byte for byte, as grep does; people get what their encoding has."""
    environ = {**os.environ, "PYTHONIOENCODING": encoding}
    with short_directory() as directory, ServerThread(directory / "s", GermanScript()) as served:
        for words in (
            ["--all"],
            ["--all", "-l"],
            ["--all", "--json"],
            ["--all", "--budget", "99"],
            ["--root", "/\xf6"],
        ):
            command = [sys.executable, "-m", "regend.cli.main", "--socket", str(served.path), "search", "\xf6", *words]
            done = subprocess.run(command, capture_output=True, timeout=60, env=environ)
            assert done.returncode == (0 if "--all" in words else 2)
            assert b"Traceback" not in done.stderr.replace(b"\0", b"")
            if words[1:] in ([], ["-l"]):
                assert "/gr\xf6\xdfe.py".encode() in done.stdout


EMPTY = [
    (command.name, argument.names[0])
    for command in COMMANDS
    if command.name != "service"
    for argument in (*command.arguments, *GLOBAL)
    if argument.names[0] in ("--socket", "--root", "--files", "--guide", "--out")
    and argument.options.get("metavar") in ("PATH", "DIR", "NAME|DIR", "ROOT", "FILE")
]


@pytest.mark.parametrize(("command", "option"), EMPTY)
def test_an_empty_place_is_not_the_default(command: str, option: str, capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([command, option, ""], [command, f"{option}="]):
        with pytest.raises(SystemExit) as end:
            main(words)
        assert end.value.code == 2
        assert f"{option}: it is empty; name a file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["list", "--state", "skipped"], "`--files ROOT`"),
        (["mcp", "list", "cursor"], "takes no names"),
        (["mcp", "serve", "x"], "takes no names"),
        (["mcp", "plugin", "x"], "takes no names"),
        (["logs", "--json"], "has no JSON"),
    ],
)
def test_what_would_be_ignored_is_refused(
    socket_path: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--socket", str(socket_path), *words]) == 2
    done = capsys.readouterr()
    assert said in done.err + done.out


def test_a_bare_repository_is_no_place_to_add(
    socket_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    subprocess.run(["git", "init", "-q", "--bare", str(tmp_path)], check=True)
    monkeypatch.chdir(tmp_path)
    assert main(["--socket", str(socket_path), "search", "x"]) == 2
    err = capsys.readouterr().err
    assert "git's own data" in err and "regenctl add" not in err


def test_tune_in_a_directory_that_was_deleted(
    socket_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert main(["--socket", str(socket_path), "tune"]) == 2
    assert "go to a directory that exists" in capsys.readouterr().err
