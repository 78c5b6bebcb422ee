"""`docs/rpc.md` and `docs/editors.md` are true: tables equal the schema, transcripts and examples run."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import msgpack
import pytest

from regend.paths import default_socket_path
from regend.rpc.codec import SERVER_LIMITS
from regend.rpc.connection import ServerLimits
from regend.rpc.schema import ERRORS, METHODS
from tests.rpc.golden import RPC_PAGE, Step, load_all, pack
from tests.rpc.scripted import ServerThread, short_directory, wire

EDITORS_PAGE = RPC_PAGE.with_name("editors.md")
PYTHON_PAGE = RPC_PAGE.with_name("python.md")
TRANSCRIPTS = load_all()


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.S)


def environment(directory: Path) -> dict[str, str]:
    """Our environment, with the socket in `directory` and a `regenctl` on the path."""
    command = directory / "regenctl"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m regend.cli.main "$@"\n')
    command.chmod(0o755)
    return {
        **os.environ, "REGEND_SOCKET": str(directory / "s"), "PYTHONPATH": str(RPC_PAGE.parents[1]), "NO_COLOR": "1",
        "PATH": f"{directory}:{os.environ['PATH']}", "HOME": str(directory), "XDG_STATE_HOME": str(directory),
    }  # fmt: skip


def run(directory: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=environment(directory), capture_output=True, text=True, timeout=30)


def test_every_method_and_code_is_on_the_page() -> None:
    page = RPC_PAGE.read_text()
    assert all(f"### `{name}`" in page for name in METHODS)
    assert all(f"| `{code}` |" in page for code in ERRORS)


def test_the_limits_on_the_page_are_those_of_the_server() -> None:
    page, limits = RPC_PAGE.read_text(), ServerLimits()
    size = f"{SERVER_LIMITS.max_message_bytes >> 20} MiB; {SERVER_LIMITS.max_items} items"
    assert f"{size} in an array or map; {SERVER_LIMITS.max_depth} levels deep" in page
    assert f"| {limits.partial_timeout_s:g} s |" in page
    assert f"| {limits.max_in_flight}; more wait" in page
    assert f"| {limits.write_timeout_s:g} s, or {limits.max_unsent_bytes >> 20} MiB:" in page
    assert f"| connections | {limits.max_connections} |" in page


def test_there_are_transcripts_on_the_page_and_in_files() -> None:
    assert sum(name.startswith("rpc.md") for name in TRANSCRIPTS) >= 3
    assert len(TRANSCRIPTS) >= 10


@pytest.mark.parametrize("name", TRANSCRIPTS)
def test_a_transcript_plays(name: str) -> None:
    with short_directory() as directory, ServerThread(directory / "s") as served, socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(5)
        peer.connect(str(directory / "s"))
        for step in TRANSCRIPTS[name]:
            play(step, peer, served)


def play(step: Step, peer: socket.socket, served: ServerThread) -> None:
    match step.kind:
        case ">":
            if step.text != "raw":
                assert pack(step.message) == step.data
            peer.sendall(step.data)
        case "<":
            assert msgpack.unpackb(step.data) == step.message
            assert receive(peer, len(step.data)).hex(" ") == step.data.hex(" ")
        case "!":
            topic, _, payload = step.text.partition(" ")
            assert served.server is not None
            served.run(served.server.publish, topic, Step("!", payload, b"").message)
        case ".":
            assert peer.recv(1) == b""


def receive(peer: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size and (more := peer.recv(size - len(data))):
        data += more
    return data


@pytest.mark.parametrize("page", [RPC_PAGE, EDITORS_PAGE, PYTHON_PAGE], ids=lambda page: page.name)
def test_the_python_examples_run(page: Path) -> None:
    examples = blocks(page, "python")
    assert examples
    with short_directory() as directory, ServerThread(directory / "s"):
        for example in examples:
            done = run(directory, sys.executable, "-c", example)
            assert (done.returncode, done.stderr) == (0, "")
            assert "core/debounce.py" in done.stdout


def test_the_shell_examples_run() -> None:
    examples = blocks(EDITORS_PAGE, "sh")
    assert examples
    with short_directory() as directory, ServerThread(directory / "s"):
        for example in examples:
            if "jq" in example and not shutil.which("jq"):
                continue
            done = run(directory, "sh", "-euc", example)
            assert (done.returncode, done.stderr) == (0, "")
            assert "core/debounce.py" in done.stdout


def snippets() -> list[str]:
    """The snippets that do without the plugin."""
    page = EDITORS_PAGE.read_text()
    return re.findall(
        r"```lua\n(.*?)```", page[page.index("## Neovim without the plugin") : page.index("## Vim")], re.S
    )


@pytest.mark.skipif(shutil.which("nvim") is None, reason="neovim is not installed (Debian: apt-get install neovim)")
class TestNeovim:
    """The snippets for Neovim, run by Neovim."""

    def run(self, directory: Path, snippet: str, after: str) -> str:
        """Run the snippet, then a Lua chunk that prints; what was printed."""
        script = directory / "init.lua"
        script.write_text(f"{snippet}\n{after}\nvim.cmd('qall!')\n")
        done = run(directory, "nvim", "--headless", "--clean", "-u", str(script))
        assert done.returncode == 0
        return done.stdout + done.stderr

    def test_the_snippet_fills_the_quickfix_list(self) -> None:
        snippet, _ = snippets()
        assert len(snippet.strip().splitlines()) <= 10
        with short_directory() as directory, ServerThread(directory / "s") as served:
            out = self.run(
                directory,
                snippet,
                "vim.cmd('Regend debounce quiet time')\n"
                "for _, q in ipairs(vim.fn.getqflist()) do print(vim.fn.bufname(q.bufnr), q.lnum, q.text) end",
            )
            assert "/src/app/core/debounce.py 10 Debouncer.push" in out
            assert [r.query for r in served.script.seen if hasattr(r, "query")] == ["debounce quiet time"]

    def test_changed_buffers_are_sent_along(self) -> None:
        with short_directory() as directory, ServerThread(directory / "s") as served:
            self.run(
                directory,
                "".join(snippets()),
                "vim.cmd('Regend first')\n"
                f"vim.cmd('edit {directory}/new.py')\n"
                "vim.api.nvim_buf_set_lines(0, 0, -1, false, { 'x = 1', 'y = 2' })\n"
                "vim.cmd('Regend second')\n"
                "vim.api.nvim_buf_set_lines(0, 0, -1, false, { string.rep('x', 600000) })\n"
                "vim.cmd('Regend third')\n"
                "vim.bo.modified = false",
            )
            first, second, third = (r for r in served.script.seen if hasattr(r, "query"))
            assert (first.query, first.overlays) == ("first", ())
            assert (third.query, third.overlays) == ("third", ()), "too large for a request"
            assert [wire(overlay) for overlay in second.overlays] == [
                {"path": f"{directory}/new.py", "text": "x = 1\ny = 2\n"}
            ]

    def test_neovim_shows_the_daemons_message(self) -> None:
        snippet, _ = snippets()
        with short_directory() as directory, ServerThread(directory / "s"):
            out = self.run(
                directory, snippet, "print(pcall(vim.fn.rpcrequest, regend(), 'remove', { path = '/nope' }))"
            )
            assert "root_error: /nope is not a root; add it with `regenctl add /nope`." in out

    def test_all_forms_of_no_parameters_work(self) -> None:
        snippet, _ = snippets()
        calls = ("'list'", "'list', {}", "'list', vim.empty_dict()")
        with short_directory() as directory, ServerThread(directory / "s"):
            out = self.run(
                directory, snippet, "\n".join(f"print(#vim.fn.rpcrequest(regend(), {call}).roots)" for call in calls)
            )
            assert out.split() == ["1", "1", "1"]


def test_clients_without_our_package_look_for_the_socket_where_the_daemon_listens() -> None:
    """Each reads `XDG_RUNTIME_DIR` by itself when `REGEND_SOCKET` is not set, and Neovim the state directory, too."""
    python, lua = blocks(EDITORS_PAGE, "python")[-1], snippets()[0]
    with short_directory() as directory:
        environ = {"HOME": "/home/x", "XDG_RUNTIME_DIR": str(directory)}
        place = default_socket_path(environ)
        place.parent.mkdir(mode=0o700)
        with ServerThread(place):
            asked = [sys.executable, "-c", python]
            done = subprocess.run(asked, env=environ, capture_output=True, text=True, timeout=30)
    assert "core/debounce.py" in done.stdout, done.stderr
    assert "vim.env.XDG_RUNTIME_DIR .. '/regend' or vim.env.HOME .. '/.local/state/regend/run'" in lua
    assert default_socket_path({"HOME": "/home/x"}) == Path("/home/x/.local/state/regend/run/regend.sock")
