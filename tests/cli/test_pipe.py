"""`regenctl pipe` answers each line with what the command prints as JSON, and outlives every wrong line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regend.cli.asking.pipe import COMMANDS
from tests.rpc.scripted import ROOT, ServerThread, short_directory, wire

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def served() -> Iterator[ServerThread]:
    with short_directory() as directory, ServerThread(directory / "s") as made:
        yield made


def answers(served: ServerThread, lines: Sequence[str | bytes]) -> list[dict[str, Any]]:
    """The answers of one process, which must end well with its input. It gets the socket by a relative path."""
    raw = b"".join((line if isinstance(line, bytes) else line.encode()) + b"\n" for line in lines)
    environ = {**os.environ, "REGEND_CONFIG": os.devnull, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        [sys.executable, "-m", "regend.cli.main", "--socket", served.path.name, "pipe"],
        input=raw, capture_output=True, timeout=60, cwd=served.path.parent, env=environ,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    return [json.loads(line) for line in done.stdout.split(b"\n")[:-1]]


def ask(*words: str, **more: object) -> str:
    return json.dumps({"words": words, **more})


def test_the_answers_are_those_of_the_commands_in_their_order(served: ServerThread) -> None:
    asked = [
        ["search", "--all", "-k", "3", "quiet time"], ["symbols", "--all", "push"], ["list"],
        ["search", "-k", "0", "x"],
        ["outline", f"{ROOT}/core/debounce.py"], ["search", "--all", "--", "--nothing"], ["nope"], ["search"],
    ]  # fmt: skip
    found = answers(served, [ask(*words) for words in asked])
    assert len(found) == len(asked)
    for words, answer in zip(asked, found, strict=True):
        alone = subprocess.run(
            [sys.executable, "-m", "regend.cli.main", "--socket", str(served.path), "--json", *words],
            capture_output=True, text=True, timeout=60, cwd="/", env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        )  # fmt: skip
        if "error" in answer:
            assert answer["error"]["message"]
            assert alone.returncode == 2
        else:
            assert answer == json.loads(alone.stdout)


def test_a_command_has_a_directory_and_an_input_of_its_own(served: ServerThread, tmp_path: Path) -> None:
    overlay = [{"path": f"{ROOT}/a.py", "text": "caf\u00e9 = 1\n"}]
    bytes_in_name = os.fsdecode(b"caf\xe9")
    (tmp_path / bytes_in_name).mkdir()
    raw = ask("search", "--all", "x", directory="HERE").encode().replace(b"HERE", os.fsencode(tmp_path) + b"/caf\xe9")
    first, second, third, fourth = answers(
        served,
        [
            ask("search", "--all", "--overlay", "-", "x", input=json.dumps(overlay)),
            ask("search", "--all", "x", directory=str(tmp_path)),
            ask("search", "--all", "x", directory=str(tmp_path / "none")),
            raw,
        ],
    )
    assert fourth["results"]
    assert first["results"] and second["results"]
    assert "cannot be entered" in third["error"]["message"]
    sent = [wire(one) for one in served.script.seen[-3:]]
    assert [one["overlays"] for one in sent] == [tuple(overlay), (), ()]


def test_without_a_daemon_each_line_says_so_and_the_next_one_finds_it() -> None:
    with short_directory() as directory:
        path = directory / "s"
        process = subprocess.Popen(
            [sys.executable, "-m", "regend.cli.main", "--socket", str(path), "pipe"], text=True, cwd=REPOSITORY,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        assert process.stdin is not None and process.stdout is not None

        def told() -> dict[str, Any]:
            assert process.stdin is not None and process.stdout is not None
            process.stdin.write(ask("list") + "\n")
            process.stdin.flush()
            found: dict[str, Any] = json.loads(process.stdout.readline())
            return found

        try:
            assert told()["error"]["code"] == "daemon_not_running"
            with ServerThread(path):
                assert told()["roots"]
            assert told()["error"]["code"] == "daemon_not_running"
        finally:
            process.stdin.close()
            assert process.wait(20) == 0
            process.stdout.close()


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(("words", "directory", "x")), inner),
    max_leaves=6,
)
LINES = st.lists(
    st.one_of(
        VALUES.map(json.dumps), st.binary(max_size=12).map(lambda data: data.replace(b"\n", b"").replace(b"\r", b"")),
        st.text(max_size=6).map(lambda text: ask("search", "--all", "x", directory=text, input=text)),
        st.sampled_from((b'{"words": ["search", "--all", "caf\xe9"]}', ask("search", "--all", "\ud800"), "[" * 9_999)),
        st.text(st.characters(codec="utf-8", exclude_characters="\n\r"), max_size=20),
        st.lists(st.text(max_size=6), max_size=4).map(lambda words: ask(*words)),
        st.lists(st.text(max_size=6), max_size=4).map(lambda words: ask("search", "--all", *words)),
    ),
    min_size=20, max_size=60,
)  # fmt: skip


@settings(max_examples=6, deadline=None)
@given(LINES)
def test_every_line_is_answered_by_one_line(served: ServerThread, lines: list[str | bytes]) -> None:
    found = answers(served, [*lines, ask("list")])
    assert len(found) == len(lines) + 1
    assert all(isinstance(answer, dict) for answer in found)
    assert found[-1]["roots"]


def test_an_input_or_a_command_that_is_odd_is_refused_and_the_next_line_answered(served: ServerThread) -> None:
    odd = [
        ask("search", "--all", "--overlay", "-", "x", input="[" * 100_000),
        ask("search", "--all", "--overlay", "-", "x", input=json.dumps([{"path": "/a\0b", "text": "x"}])),
        ask("status", "--watch"),
        ask("status", "--until-ready", "--watch"),
    ]
    found = answers(served, [*odd, ask("list")])
    assert [answer["error"]["message"] for answer in found[:-1]]
    assert found[-1]["roots"]


def test_commands_that_have_no_answer_are_refused(served: ServerThread) -> None:
    refused = ("stop", "remove", "mcp", "pipe", "fzf", "config", "restart", "help", "logs")
    assert not set(refused) & set(COMMANDS)
    for answer in answers(served, [ask(name) for name in refused]):
        assert answer["error"]["message"].startswith("The first word is a command: search, ")
