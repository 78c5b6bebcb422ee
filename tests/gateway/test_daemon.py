"""The gateway with a real daemon: off by default, started and ended with it; `regenctl http` prints its link."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from regend.gateway.token import read_token
from tests.e2e.rig import REPOSITORY, Daemon, daemon, wait_for
from tests.gateway.rig import Reply, asked

CONFIG = '[http]\nlisten = "127.0.0.1:0"\n'
LIMIT_S = 20.0


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    (tmp_path / "root/retry.py").write_text("def next_delay(attempt):\n    return 2**attempt\n")
    return tmp_path / "root"


@pytest.fixture
def running(root: Path) -> Iterator[Daemon]:
    with daemon(CONFIG) as made:
        made.start(root)
        made.flush()
        wait_for(lambda: bool(made.status()["http"]), "the gateway serves", LIMIT_S)
        yield made


def control(served: Daemon, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "regend.cli.main", *words, "--socket", str(served.socket)]
    environ = {**os.environ, "REGEND_CONFIG": str(served.home / "config.toml")}
    return subprocess.run(command, cwd=REPOSITORY, env=environ, capture_output=True, text=True, timeout=60)


def ask(served: Daemon, path: str) -> Reply:
    return asked(served.status()["http"], path, read_token(served.state_dir))


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def gateway_pid(served: Daemon) -> int:
    for child in children(served.process.pid):
        if b"regend.gateway.main" in Path(f"/proc/{child}/cmdline").read_bytes():
            return child
    return 0


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_search_by_http_finds_what_the_socket_finds(running: Daemon) -> None:
    (found,) = ask(running, "/api/search?query=next_delay").json["results"]
    assert (found["path"], found["symbol"]) == ("retry.py", "next_delay")


def test_the_link_opens_the_page(running: Daemon) -> None:
    link = control(running, "http").stdout.strip()
    assert link == f"{running.status()['http']}/?token={read_token(running.state_dir)}"
    header = control(running, "http", "--header").stdout.strip()
    assert header == f"Authorization: Bearer {read_token(running.state_dir)}"
    assert asked(running.status()["http"], link.removeprefix(running.status()["http"]), "").status == 303


def test_the_link_is_printed_once_a_gateway_that_starts_serves(root: Path) -> None:
    with daemon(CONFIG) as served:
        served.start(root)
        done = control(served, "http")
        assert (done.returncode, done.stderr) == (0, "")
        assert (
            asked(served.status()["http"], done.stdout.strip().removeprefix(served.status()["http"]), "").status == 303
        )


async def test_the_entry_for_agents_lets_a_client_search_the_repository(running: Daemon, root: Path) -> None:
    """The client is the SDK's, and gets nothing but what `regenctl mcp --http` prints."""
    printed = control(running, "mcp", "--http", "--root", str(root)).stdout
    (entry,) = json.loads(printed)["mcpServers"].values()
    assert entry["type"] == "http"
    async with (
        httpx2.AsyncClient(headers=entry["headers"]) as plain,
        Client(streamable_http_client(entry["url"], http_client=plain)) as agent,
    ):
        result = await agent.call_tool("search_code", {"query": "next_delay"})
        assert not result.is_error
        assert "\n\nretry.py:1-2  next_delay\n" in result.content[0].text  # type: ignore[union-attr]
        assert result.meta is not None and result.meta["dev.regend/answer"]["roots"] == [str(root)]
    assert "root=" not in json.loads(control(running, "mcp", "--http").stdout)["mcpServers"]["regend"]["url"]


def test_without_a_gateway_or_on_a_unix_socket_agents_are_told_what_to_set(root: Path) -> None:
    with daemon() as served:
        served.start(root)
        done = control(served, "mcp", "--http")
        assert (done.returncode, "regenctl config set http.listen 127.0.0.1:7433" in done.stderr) == (2, True)
        served.stop()
        (served.home / "config.toml").write_text(f'[http]\nlisten = "{served.home}/run/http"\n')
        served.start()
        wait_for(lambda: bool(served.status()["http"]), "the gateway serves", LIMIT_S)
        done = control(served, "mcp", "--http")
        assert (done.returncode, "set `http.listen` to an address" in done.stderr) == (2, True)


def test_a_gateway_that_ends_is_started_again_and_ends_with_the_daemon(running: Daemon) -> None:
    first = gateway_pid(running)
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: gateway_pid(running) not in (0, first), "it is started again", LIMIT_S)
    wait_for(lambda: bool(running.status()["http"]), "it serves again", LIMIT_S)
    assert ask(running, "/api/status").status == 200
    second = gateway_pid(running)
    assert running.stop() == 0
    assert not alive(second)


def test_it_is_gone_after_a_daemon_that_was_killed(running: Daemon) -> None:
    pid = gateway_pid(running)
    running.kill()
    wait_for(lambda: not alive(pid), "the gateway ends", LIMIT_S)


def test_it_is_off_by_default_and_says_how_to_turn_it_on(root: Path) -> None:
    with daemon() as served:
        served.start(root)
        assert served.status()["http"] == ""
        assert gateway_pid(served) == 0
        done = control(served, "http")
        assert done.returncode == 2
        assert "regenctl config set http.listen 127.0.0.1:7433" in done.stderr
        loaded = Path(f"/proc/{served.process.pid}/maps").read_text()
        assert "aiohttp" not in loaded


def test_a_port_that_is_taken_is_told_and_tried_again(root: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with daemon(f'[http]\nlisten = "127.0.0.1:{port}"\n') as served:
            served.start(root)
            wait_for(lambda: "gateway_ended" in served.log(), "the log says so", LIMIT_S)
            assert f"cannot listen on 127.0.0.1:{port}" in served.log()
            served.flush()
            assert served.search("next_delay") == ["retry.py:1-2"]
            taken.close()
            wait_for(lambda: bool(served.status()["http"]), "the gateway serves", LIMIT_S)


def test_a_unix_socket(root: Path) -> None:
    with daemon() as served:
        path = served.home / "run" / "http"
        (served.home / "config.toml").write_text(f'[http]\nlisten = "{path}"\n')
        served.start(root)
        wait_for(lambda: bool(served.status()["http"]), "the gateway serves", LIMIT_S)
        assert path.stat().st_mode & 0o777 == 0o600
        words = control(served, "http").stdout
        assert words.startswith(f"curl --unix-socket {path} -H 'Authorization: Bearer ")
        assert asked(str(path), "/api/status", read_token(served.state_dir)).status == 200
        assert asked(str(path), "/api/status", "wrong").status == 401


def test_an_address_that_others_could_reach_is_a_mistake_of_the_configuration(root: Path) -> None:
    with daemon('[http]\nlisten = "0.0.0.0:7433"\n') as served:
        served.start(root, wait=False)
        assert served.process.wait(LIMIT_S) == 1
        assert "`http.listen` is '0.0.0.0:7433'; only this machine may ask" in served.log()
