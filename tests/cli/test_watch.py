"""`status --watch`: bars on a terminal, a line for each change elsewhere, an end at Ctrl-C or with the daemon."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from regend.cli.status_page import change_line, is_settled, status_lines
from regend.cli.terminal import Style
from regend.cli.watch import render
from tests.e2e.rig import wait_for
from tests.rpc.scripted import DEADLINE_S, ROOT, Script, ServerThread, short_directory, wire

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def served() -> Iterator[ServerThread]:
    with short_directory() as directory, ServerThread(directory / "s", Script(pending=80)) as server:
        yield server


def watch(served: ServerThread, *options: str, **streams: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "regend.cli.main", "--socket", str(served.path), "status", "--watch", *options]
    environ = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120", "LINES": "50"}
    return subprocess.Popen(command, cwd=REPOSITORY, text=True, env=environ, **streams)


def finish(served: ServerThread) -> None:
    served.script.pending = 0
    served.script.generation += 1
    assert served.server is not None
    served.run(served.server.publish, "progress", {})


def test_a_pipe_gets_a_line_for_each_change_until_ctrl_c(served: ServerThread) -> None:
    process = watch(served, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == "indexing: 1 root, 120 indexed, 80 pending, generation 7\n"
    finish(served)
    assert process.stdout.readline() == "complete: 1 root, 120 indexed, 0 pending, generation 8\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=DEADLINE_S) == ("", "")
    assert process.returncode == 130


def test_json_gets_a_status_for_each_change(served: ServerThread) -> None:
    process = watch(served, "--json", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["roots"][0]["pending"] == 80
    finish(served)
    assert json.loads(process.stdout.readline())["complete"] is True
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=DEADLINE_S)


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_until_ready_waits_without_a_page_too(served: ServerThread, options: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "regend.cli.main", "--socket", str(served.path), "status", "--until-ready"]
    process = subprocess.Popen([*command, *options], cwd=REPOSITORY, text=True, stdout=subprocess.PIPE)

    try:
        wait_for(lambda: served.server is not None and served.server.counters()["connections"] > 0, "it has asked")
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1.0)
        finish(served)
        output, _ = process.communicate(timeout=DEADLINE_S)
        assert process.returncode == 0
        assert json.loads(output)["complete"] if options else "pending" not in output
    finally:
        process.kill()
        process.wait(DEADLINE_S)


@pytest.mark.parametrize("command", [("add", ROOT), ("status", "--until-ready"), ("flush", "--timeout", "0.2")])
def test_what_holds_indexing_back_is_said_while_a_command_waits(served: ServerThread, command: tuple[str, ...]) -> None:
    """A full disk may hold it back for ever, and a script has no progress bar."""
    served.script.pending, served.script.held_back = 80, ("Only 3 MB are free.",)
    arguments = [sys.executable, "-m", "regend.cli.main", "--socket", str(served.path), *command]
    process = subprocess.Popen(
        arguments, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )  # fmt: skip
    try:
        assert process.stderr is not None
        lines = iter(process.stderr.readline, "")
        assert any("Only 3 MB are free." in line for line in lines)
        served.script.pending, served.script.held_back = 0, ()
        _, error = process.communicate(timeout=DEADLINE_S)
        assert "Only 3 MB" not in error
    finally:
        process.kill()
        process.wait(DEADLINE_S)


def test_the_end_of_the_daemon_is_the_end_of_the_watch(served: ServerThread) -> None:
    process = watch(served, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("indexing")
    served.stop()
    _, error = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 2
    assert "daemon" in error
    assert "Traceback" not in error


def read_until(fd: int, words: str) -> str:
    text, deadline = "", time.monotonic() + DEADLINE_S
    while words not in text:
        left = deadline - time.monotonic()
        assert left > 0, f"{words!r} did not come in {text!r}"
        if select.select([fd], [], [], left)[0]:
            text += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", os.read(fd, 65536).decode(errors="replace"))
    return text


def test_a_terminal_gets_bars_that_move(served: ServerThread) -> None:
    ours, theirs = pty.openpty()
    process = watch(served, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    first = read_until(ours, "4243")
    assert " 61 %" in first
    assert "123 of 203 files" in first
    finish(served)
    assert "123 of 123 files" in read_until(ours, "100 %") + read_until(ours, "4243")
    process.send_signal(signal.SIGINT)
    assert process.wait(DEADLINE_S) == 0
    os.close(ours)


async def test_the_page_and_its_bars(served: ServerThread) -> None:
    from rich.console import Console

    status = wire(await Script(pending=40, roots=["/src/a", "/src/b"]).on_status(None, None))  # type: ignore[arg-type]
    stream = io.StringIO()
    Console(file=stream, width=120).print(render(json.loads(json.dumps(status)), colour=False))
    page = stream.getvalue()
    assert page.count("━") == 2 * 40 * 3 / 4
    assert page.count("123 of 163 files") == 2
    assert all(line.rstrip() in page for line in status_lines(status, Style(False)))


async def test_reasons_and_pauses_are_shown(served: ServerThread) -> None:
    status = json.loads(json.dumps(wire(await Script(paused=True).on_status(None, None))))  # type: ignore[arg-type]
    status["roots"][0] |= {"state": "degraded", "reason": "Out of watches; raise fs.inotify.max_user_watches."}
    text = "\n".join(status_lines(status, Style(False)))
    assert "    Out of watches; raise fs.inotify.max_user_watches." in text
    assert change_line(status).startswith("paused: ")
    status["roots"] = []
    assert "none; add one with `regenctl add DIR`" in "\n".join(status_lines(status, Style(False)))


@pytest.mark.parametrize(
    ("root", "rest", "state"),
    [
        ({}, {"complete": True}, "complete"),
        ({"state": "gone"}, {}, "incomplete"),
        ({"state": "degraded"}, {}, "incomplete"),
        ({"state": "hung"}, {}, "indexing"),
        ({"state": "indexing"}, {}, "indexing"),
        ({"state": "gone"}, {"queues": {"embed_waiting": 1}}, "indexing"),
        ({"state": "gone"}, {"held_back": ["The disk is full."]}, "indexing"),
        ({"state": "gone"}, {"hot_files": [{"root": "/a", "path": "b", "next_look_s": 1.0}]}, "indexing"),
    ],
)
async def test_what_no_waiting_brings_is_not_waited_for(root: dict[str, str], rest: dict[str, Any], state: str) -> None:
    """A deleted worktree, or a directory that only another user may read, holds up no script."""
    status = json.loads(json.dumps(wire(await Script(pending=1).on_status(None, None))))  # type: ignore[arg-type]
    status = {**status, "queues": {}, **rest}
    status["roots"][0] |= {"pending": 0, **root}
    assert is_settled(status) == (state != "indexing")
    assert change_line(status).startswith(f"{state}: ")


async def test_hot_files_are_on_the_page_only_where_there_are_some() -> None:
    status = json.loads(json.dumps(wire(await Script().on_status(None, None))))  # type: ignore[arg-type]
    assert "hot files" not in "\n".join(status_lines(status, Style(False)))
    hot = [{"root": "/src/a", "path": "app.log", "next_look_s": 61.5}]
    page = status_lines(status | {"hot_files": hot}, Style(False))
    at = page.index("hot files  (they never rest; `regenctl flush` reads them)")
    assert page[at + 1] == "  /src/a/app.log  read in 1 min 1 s"


async def test_what_embedding_servers_did_is_on_the_page() -> None:
    status = json.loads(json.dumps(wire(await Script().on_status(None, None))))  # type: ignore[arg-type]
    server = {"url": "http://127.0.0.1:1", "breaker": "closed", "refusal": ""}
    model = {
        "id": "m@3",
        "provider": {
            "requests": 1_200,
            "tokens": 9_000,
            "retries": 2,
            "servers": [server, server | {"breaker": "open"}],
        },
        "batches": {"bulk": {"average_items": 63.5, "average_fill": 0.991}},
    }
    refused = {"refused_chunks": 30, "refused": [{"chunk": "00", "reason": "It looks like a secret."}]}
    page = status_lines(status | {"model": {"id": "first", "upgrade": model | refused}}, Style(False))
    at = page.index("upgrade  m@3, refused_chunks 30")
    assert page[at + 1 : at + 4] == [
        "         1,200 requests, 9,000 tokens, bulk batches of 63.5 at 99%, 2 retries",
        "         http://127.0.0.1:1: circuit breaker open",
        "         30 chunks without a vector (`regenctl why FILE`), the first: It looks like a secret.",
    ]
    assert status_lines(status | {"model": {"id": "first", "provider": {}}}, Style(False))[1] == "model    first"
