"""The hook adds what regend finds to a grep; whatever happens, it says nothing wrong and ends with success."""

from __future__ import annotations

import argparse
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from regend.cli.mcp import _rewrite
from regend.mcp.hook import pattern_of, run
from regend.mcp.install import guidance
from tests.mcp.rig import COMMAND, REPOSITORY
from tests.rpc.scripted import ROOT, ServerThread, short_directory


@pytest.fixture
def served() -> Iterator[ServerThread]:
    with short_directory() as directory, ServerThread(directory / "s") as server:
        yield server


def hooked(socket: Path, data: bytes) -> str:
    done = subprocess.run(
        [*COMMAND, "mcp", "hook", "--socket", str(socket)], input=data, cwd=REPOSITORY, capture_output=True, timeout=20
    )
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.decode()


def call(command: str, cwd: str = f"{ROOT}/core") -> bytes:
    event = {"hook_event_name": "PostToolUse", "tool_name": "Bash", "tool_input": {"command": command}, "cwd": cwd}
    return json.dumps(event).encode()


def test_it_adds_what_is_found(served: ServerThread) -> None:
    answer = json.loads(hooked(served.path, call("rg -n 'quiet.*time' src")))["hookSpecificOutput"]
    assert answer["hookEventName"] == "PostToolUse"
    assert answer["additionalContext"].startswith(
        f"regend (search_code) finds for `quiet time` in {ROOT}:\ncore/debounce.py:10-12"
    )


def test_it_says_nothing_without_an_answer(
    served: ServerThread, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    monkeypatch.setattr("sys.stdout", sys.__stdout__)
    for data in (
        b"", b"{", b"[]", b"\xff", b'{"tool_input": 3}', call("ls -l"), call("rg ab"), call("grep 'un"),
        call("grep nothing"), call("grep quiet", cwd="/elsewhere"), call("grep quiet", cwd=""),
    ):  # fmt: skip
        assert run(str(served.path), data) == 0
    assert run(str(served.path.with_name("gone")), call("grep quiet")) == 0
    structlog.reset_defaults()
    assert capfdbinary.readouterr() == (b"", b"")


@pytest.mark.parametrize(
    ("tool", "given", "words"),
    [
        ("Grep", {"pattern": r"def\s+retry_(\w+)"}, "def retry_"),
        ("Bash", {"command": "grep -rn MAX_RETRIES ."}, "MAX_RETRIES"),
        ("Bash", {"command": "cd x && rg -A 3 -t py 'class Foo' src | head"}, "class Foo"),
        ("Bash", {"command": "git grep -e one -e two"}, "one two"),
        ("Bash", {"command": "/usr/bin/grep --include '*.py' word"}, "word"),
        ("Bash", {"command": "cat x | grep word"}, "word"),
        ("Bash", {"command": "pip install ripgrep"}, ""),
        ("Bash", {"command": "grep"}, ""),
        ("Read", {"file_path": "x"}, ""),
        ("Grep", {"pattern": 3}, ""),
    ],
)
def test_the_words_of_a_grep(tool: str, given: dict[str, Any], words: str) -> None:
    assert pattern_of({"tool_name": tool, "tool_input": given}) == words


@pytest.mark.parametrize(
    "command",
    [
        # Where the grep stands.
        "cd src; rg my_word", "cd src&&rg my_word", "cd src\nrg my_word\n", "(cd src; rg my_word)", "rg my_word|head",
        "x=$(rg -l my_word src)", "echo `grep my_word x`", "cat a.py|grep my_word", "rg my_word &",
        "find . -name '*.py' -exec grep -Hn my_word {} \\;", "find . -exec grep -l my_word {} +",
        "fd -e py -x rg my_word",
        "find . -type f -print0 | xargs -0 grep -n my_word", "git -C /x grep -n my_word -- '*.py'",
        "git --no-pager grep my_word HEAD~1", "sudo -u me grep my_word x", "LC_ALL=C grep my_word x",
        "env A=b rg my_word", "time rg my_word", "timeout 10 rg my_word", "if grep -q my_word x; then echo y; fi",
        "! grep -q my_word x", "for f in *; do grep my_word $f; done", "bash -c 'cd x && rg my_word'",
        'bash -lc "sh -c \'rg my_word\'"', "\\grep my_word x", "rg --files | rg my_word", "grep '|' x | grep my_word",
        # Options with values, and what redirects.
        "grep -rnA 3 my_word src", "grep -C5 my_word", "grep -5 my_word x", "grep -m1 my_word x", "rg -tpy my_word",
        "rg -ng '*.py' my_word", "rg -g'*.py' my_word", "rg --glob='!x' my_word", "rg --color never my_word",
        "grep --color my_word x", "rg -r other my_word", "grep -r my_word other", "ag --ignore-dir other my_word",
        "grep -rn --include='*.py' --exclude-dir .git my_word .", "rg my_word -g '*.py' -A 3", "ack --match my_word",
        "rg -- -my_word src", "rg -e-my_word src", "rg --regexp=my_word src", "rg src --regexp my_word",
        "grep -nemy_word x",
        "rg 2>/dev/null my_word", "rg my_word 2>&1 | head -5", "rg > out.txt my_word", "grep my_word<in.txt",
        # Expressions.
        r"rg '\bmy_word\b'", r"rg '\smy_word\w*'", "grep '[[:space:]]my_word'", "rg '(?im:my_word)'",
        "rg '(?x)my_word'",
    ],
)  # fmt: skip
def test_a_grep_is_seen_wherever_it_stands(command: str) -> None:
    assert pattern_of({"tool_name": "Bash", "tool_input": {"command": command}}) == "my_word"


@pytest.mark.parametrize(
    "command",
    [
        "find . -name word", "git log --grep word", "git commit -m 'grep word'", "rg --files src",
        "grep -f words.txt src",
        "bash script.sh grep", "echo grep word", "which grep", "man grep word", "rg", "rg -e", "rg -f", "rg 'word",
        "git grep",
        "find . -exec", "bash -c", "bash -c " * 5_000, "find -exec " * 20_000, "sudo " * 200_000,
    ],
)  # fmt: skip
def test_other_commands_look_for_nothing(command: str) -> None:
    assert pattern_of({"tool_name": "Bash", "tool_input": {"command": command}}) == ""


def test_words_have_letters_of_any_alphabet() -> None:
    assert pattern_of({"tool_name": "Grep", "tool_input": {"pattern": "функция|größe"}}) == "функция größe"


def test_a_block_of_rules_comes_and_goes() -> None:
    for text in ("", "# Rules\n", "# Rules", "# Rules\n\nAsk first.\n\n"):
        once = guidance.with_block(text)
        assert guidance.with_block(once) == once
        assert "`search_code`" in once
        assert guidance.without_block(once) == (text if text.endswith("\n") or not text else f"{text}\n")
    old = f"# Rules\n\n{guidance.BLOCK}\n## More\n".replace("Code search", "Old words")
    assert guidance.with_block(old) == f"# Rules\n\n{guidance.BLOCK}\n## More\n"


@pytest.mark.parametrize("text", ["# Rules\r\n\r\nAsk.\r\n", "# Rules\n\nAsk.\n", "a\r\nb\n", "\ufeffa\r\n", "a\rb"])
def test_a_file_of_rules_keeps_its_line_ends(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "AGENTS.md"
    file.write_bytes(text.encode())

    def rewrite(change: Any, dry_run: bool = False) -> bytes:
        _rewrite(argparse.Namespace(guide=str(file), dry_run=dry_run), change)
        return file.read_bytes()

    assert rewrite(guidance.with_block, dry_run=True) == text.encode()
    assert "+Code search: ask the `regend` tools" in capsys.readouterr().out
    once = rewrite(guidance.with_block)
    assert once.startswith(text.encode()) and b"search_code" in once
    if text.count("\r\n") == text.count("\n"):
        assert once.count(b"\r\n") == once.count(b"\n") or "\n" not in text
    assert rewrite(guidance.with_block) == once
    assert rewrite(guidance.without_block).rstrip() == text.encode().rstrip()


def test_a_skill_comes_and_goes(tmp_path: Path) -> None:
    place = guidance.put_skill(tmp_path)
    text = (place / "SKILL.md").read_text()
    head = text.split("---\n")[1]
    assert "name: regend\n" in head and len(head) < 1_000
    guidance.put_skill(tmp_path)
    (place / "mine.md").touch()
    assert guidance.drop_skill(tmp_path)
    assert [path.name for path in place.iterdir()] == ["mine.md"]
    assert not guidance.drop_skill(tmp_path)


@pytest.mark.parametrize(
    "data", [b"", b"{", b"3", b"[" * 100_000, b'{"a":' * 100_000, b"\xff", b'{"tool_input": 3}', b'{"cwd": 3}']
)
def test_an_odd_call_is_no_trouble_of_the_agent(data: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("/nowhere/socket", data) == 0
    assert capsys.readouterr() == ("", "")


def test_the_plugin_is_whole() -> None:
    for name in (".claude-plugin/plugin.json", ".mcp.json", "hooks/hooks.json"):
        json.loads((guidance.PLUGIN / name).read_text())
    done = subprocess.run([*COMMAND, "mcp", "plugin"], cwd=REPOSITORY, capture_output=True, text=True, timeout=20)
    assert done.stdout == f"{guidance.PLUGIN}\n"
