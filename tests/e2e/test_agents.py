"""Agents with a real daemon: it starts once for all of them, sees their edits at once, and outlives them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from regend.rpc.client import Client
from tests.e2e.rig import Daemon, daemon, wait_for
from tests.mcp.rig import Agent, agent

ROUNDS = 15


def repository(at: Path, files: int = 3) -> Path:
    at.mkdir(parents=True)
    subprocess.run(["git", "init", "-q", str(at)], check=True)
    for n in range(files):
        (at / f"module{n}.py").write_text(f"def first_{n}():\n    return {n}\n")
    return at


@pytest.fixture
def home() -> Iterator[Path]:
    """A home of its own without a daemon; one that was started is stopped at the end. Socket paths must be short."""
    with tempfile.TemporaryDirectory(prefix="rg-", ignore_cleanup_errors=True) as directory:
        made = Path(directory)
        yield made
        try:
            with Client(made / "run" / "s") as client:
                pid = client.server["pid"]
                client.call("stop")
        except Exception:
            return
        wait_for(lambda: not Path(f"/proc/{pid}").exists(), "the daemon has stopped")


def of_home(home: Path) -> dict[str, str]:
    places = {"HOME": str(home), "REGEND_STATE_DIR": str(home / "state"), "REGEND_CONFIG": str(home / "config.toml")}
    (home / "config.toml").touch()
    return {**places, "CI": "", "XDG_CONFIG_HOME": str(home / ".config"), "XDG_RUNTIME_DIR": ""}


@contextmanager
def working_in(served: Daemon, directory: Path, *arguments: str) -> Iterator[Agent]:
    with agent(*arguments, socket=served.socket, cwd=directory, environ={"CLAUDE_PROJECT_DIR": ""}) as client:
        yield client


def test_six_agents_start_one_daemon_that_outlives_them(home: Path) -> None:
    place = repository(home / "code")
    with ExitStack() as stack:
        clients = [
            stack.enter_context(agent("--add", socket=home / "run" / "s", cwd=place, environ=of_home(home)))
            for _ in range(6)
        ]
        sent = [client.request("tools/call", name="index_status", arguments={}) for client in clients]
        answers = [client.receive(60.0) for client in clients]
        assert [answer["id"] for answer in answers] == sent
        assert not any(answer["result"]["isError"] for answer in answers), answers
        text = clients[0].text("search_code", query="first_1")
        assert text.startswith(f"[{place}: ")
        with Client(home / "run" / "s") as direct:
            pid = direct.server["pid"]
        assert str(os.getpid()) not in (parents := _ancestors(pid)), "a client that ends its children would end it"
        assert not {str(client.process.pid) for client in clients} & parents
        for client in clients:
            client.process.send_signal(signal.SIGKILL)
    with Client(home / "run" / "s") as direct:
        assert direct.server["pid"] == pid
        assert [root["path"] for root in direct.call("list")["roots"]] == [str(place)]
    log = (home / "state" / "regend.log").read_text()
    assert log.count("] serving ") == 1, log


def _ancestors(pid: int) -> set[str]:
    found: set[str] = set()
    while pid > 1:
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        found.add(str(pid))
    return found


def test_an_agent_always_sees_its_own_edits(tmp_path: Path) -> None:
    place = repository(tmp_path / "code")
    with daemon() as served:
        served.start(place)
        with working_in(served, place) as client:
            for n in range(ROUNDS):
                (place / f"module{n % 3}.py").write_text(f"def written_{n}(value):\n    return value + {n}\n")
                found = client.text("find_symbol", name=f"written_{n}")
                assert f"module{n % 3}.py:1-2  function written_{n}" in found, found
                if n >= 3:
                    assert f"No definition of written_{n - 3} " in client.text("find_symbol", name=f"written_{n - 3}")


def test_an_agent_searches_the_repository_it_works_in(tmp_path: Path) -> None:
    one, two = repository(tmp_path / "one"), repository(tmp_path / "two")
    (one / "sub").mkdir()
    (one / "sub" / "deep.py").write_text("def deep_in_one():\n    pass\n")
    (two / "only.py").write_text("def only_in_two():\n    pass\n")
    with daemon() as served:
        served.start(one, two)
        served.flush()
        with working_in(served, one / "sub") as client:
            assert client.text("find_symbol", name="only_in_two").startswith(f"[{one}: complete]\n\nNo definition")
            assert "only.py:1-2" in client.text("find_symbol", name="only_in_two", root=str(two))
            assert f"{two}/only.py:1-2" in client.text("find_symbol", name="only_in_two", root="all")
            assert "sub/deep.py:1-2" in client.text("find_symbol", name="deep_in_one")
            assert "sub/deep.py" in client.text("search_code", query="deep_in_one", root=str(one / "sub"))
            assert "module1.py" not in client.text("search_code", query="first_1", root=str(one / "sub"))
            assert "1-2  function only_in_two" in client.text("outline", file=str(two / "only.py"))
            assert "1-2  function deep_in_one" in client.text("outline", file="sub/deep.py")
        with working_in(served, one, "--root", str(two)) as client:
            assert "only.py:1-2" in client.text("find_symbol", name="only_in_two")
        with agent(socket=served.socket, cwd=one, environ={"CLAUDE_PROJECT_DIR": str(two)}) as client:
            assert "only.py:1-2" in client.text("find_symbol", name="only_in_two")
        with working_in(served, tmp_path) as client:  # No repository: everything.
            assert f"{two}/only.py:1-2" in client.text("find_symbol", name="only_in_two")


def test_a_repository_that_is_not_indexed(tmp_path: Path) -> None:
    known, new = repository(tmp_path / "known"), repository(tmp_path / "new", 400)
    with daemon() as served:
        served.start(known)
        with working_in(served, new) as client:
            refused = client.call("search_code", query="first_1")
            assert refused["isError"]
            assert f"regenctl add {new}" in refused["content"][0]["text"]
            assert f"{new} is not indexed." in client.text("index_status")
        with working_in(served, new, "--add") as client:
            started_at = time.monotonic()
            first = client.call("search_code", query="first_1")
            assert time.monotonic() - started_at < 3.0, "an answer does not wait for a first index"
            assert first["_meta"]["dev.regend/answer"]["roots"] == [str(new)]
            if not first["_meta"]["dev.regend/answer"]["complete"]:
                assert re.search("NOT complete: |: complete by words, ", first["content"][0]["text"])
            served.flush()
            assert "module7.py:1-2" in client.text("find_symbol", name="first_7")


def test_a_restarted_daemon_is_found_again(tmp_path: Path) -> None:
    place = repository(tmp_path / "code")
    with daemon() as served:
        served.start(place)
        with working_in(served, place) as client:
            client.text("find_symbol", name="first_1")
            served.kill()
            served.start(place)
            assert "module1.py" in client.text("find_symbol", name="first_1")


def test_an_agent_in_a_worktree_inside_the_repository_sees_its_own_files(tmp_path: Path) -> None:
    main, tree = repository(tmp_path / "main"), tmp_path / "main" / ".agent" / "one"
    git = ["git", "-C", str(main), "-c", "user.name=x", "-c", "user.email=x"]
    for command in (["add", "."], ["commit", "-qm", "x"], ["worktree", "add", "-q", str(tree)]):
        subprocess.run([*git, *command], check=True)
    (tree / "module1.py").write_text("def only_in_the_tree():\n    pass\n")
    with daemon() as served:
        served.start(main)
        with working_in(served, tree) as client:
            assert f"regenctl add {tree}" in client.call("find_symbol", name="first_1")["content"][0]["text"]
        with working_in(served, tree, "--add") as client:
            client.call("index_status")
            client.call("search_code", query="x")
            served.flush()
            assert "module1.py:1-2  function only_in_the_tree" in client.text("find_symbol", name="only_in_the_tree")
            assert "No definition of first_1 " in client.text("find_symbol", name="first_1")
        with working_in(served, main) as client:
            assert "module1.py:1-2  function first_1" in client.text("find_symbol", name="first_1")
