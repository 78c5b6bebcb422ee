"""Completion scripts are valid for their shell and offer what the table of commands has."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from regend.cli.arguments import COMMANDS
from regend.cli.completion import bash, fish, zsh
from regend.cli.main import main


def complete(*words: str, place: Path | None = None) -> list[str]:
    """Return the words that bash offers for the last of `words`, in a directory that may hold programs."""
    script = (
        f"{bash()}\ncompopt() {{ :; }}\nCOMP_WORDS=({' '.join(shlex.quote(w) for w in words)})\n"
        f'COMP_CWORD={len(words) - 1}\n_regenctl\nprintf "%s\\n" "${{COMPREPLY[@]}}"'
    )
    environ = {**os.environ, "PATH": f"{place or ''}:{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "--norc", "-c", script], capture_output=True, text=True, check=True, env=environ, cwd=place
    )
    assert done.stderr == ""
    return [word for word in done.stdout.splitlines() if word]


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("regenctl", "rei"), ["reindex"]),
        (("regenctl", "--so"), ["--socket"]),
        (("regenctl", "--json", "sea"), ["search"]),
        (("regenctl", "--socket", "/none/x", "out"), ["outline"]),
        (("regenctl", "search", "--ex"), ["--explain"]),
        (("regenctl", "list", "--state", ""), ["indexed", "skipped"]),
        (("regenctl", "service", "u"), ["uninstall"]),
        (("regenctl", "completion", "z"), ["zsh"]),
        (("regenctl", "add", "/et"), ["/etc"]),
        (("regenctl", "search", "--root", "/et"), ["/etc"]),
        (("regenctl", "search", "word", "/et"), ["/etc"]),
        (("regenctl", "search", "-k", "3", "/et"), []),
        (("regenctl", "--color", "al"), ["always"]),
        (("regenctl", "search", "x", "--color", "n"), ["never"]),
        (("regenctl", "config", "va"), ["validate"]),
        (("regenctl", "config", "set", "workers.mo"), ["workers.mode"]),
        (("regenctl", "config", "set", "workers.mode", "p"), ["parallel", "pipeline"]),
        (("regenctl", "config", "set", "client.autostart", ""), ["true", "false"]),
        (("regenctl", "mcp", "install", "co"), ["codex", "copilot", "continue"]),
        (("regenctl", "mcp", "--root", "/", "install", "codex", "gem"), ["gemini"]),
        (("regenctl", "symbols", "--kind", "fu"), ["function"]),
        (("regenctl", "search", "x", "-t", "pytho"), ["python"]),
        (("regenctl", "search", "x", "--type", "pytho"), ["python"]),
        (("regenctl", "help", "comp"), ["completion"]),
    ],
)
def test_bash_offers(words: tuple[str, ...], expected: list[str]) -> None:
    assert complete(*words) == expected


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_offers_odd_names_whole_and_runs_nothing_in_them(tmp_path: Path) -> None:
    """Every place that takes a name of a file, a directory or a root, and every way to begin one."""
    names = ["two words", "a*", "ab", "it's", 'a"quote', "back\\slash", "$HOME", "$(touch run)", "`touch run`", "[ab]"]
    for name in names:
        (tmp_path / name).mkdir()
    program = tmp_path / "regenctl"
    program.write_text("#!/bin/sh\nprintf '/srv/%s\\n' [!r]*\n")
    program.chmod(0o755)
    for command in COMMANDS:
        for at, argument in enumerate(command.arguments):
            before = ["word"] * sum(not other.names[0].startswith("-") for other in command.arguments[:at])
            before += [argument.names[0]] if argument.names[0].startswith("-") else []
            wanted = {
                "file": {*names, "regenctl"},
                "directory": set(names),
                "roots": {*names, *(f"/srv/{name}" for name in names)},
            }.get(argument.complete)
            if wanted:
                assert set(complete("regenctl", command.name, *before, "", place=tmp_path)) == wanted, argument
    for typed in ("/srv/two", "/srv/two\\ w", '"/srv/two w', "'/srv/two w"):
        assert complete("regenctl", "remove", typed, place=tmp_path) == ["/srv/two words"]
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_offers_every_command() -> None:
    assert {command.name for command in COMMANDS} < set(complete("regenctl", ""))


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_offers_every_choice_under_every_name_of_an_option() -> None:
    asked = 0
    for command in COMMANDS:
        for argument in command.arguments:
            for name in argument.names:
                if "choices" in argument.options and name.startswith("-"):
                    assert complete("regenctl", command.name, name, "") == list(argument.options["choices"]), name
                    asked += 1
                elif "choices" in argument.options and argument is command.arguments[0]:
                    assert set(complete("regenctl", command.name, "")) == set(argument.options["choices"]), command.name
                    asked += 1
    assert asked > 5


@pytest.mark.parametrize(("shell", "script"), [("bash", bash), ("zsh", zsh), ("fish", fish)])
def test_each_script_is_valid_for_its_shell(shell: str, script: object) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    text = script()  # type: ignore[operator]
    done = subprocess.run([shell, "-n"], input=text, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_script_is_printed_and_names_everything(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    text = capsys.readouterr().out
    for command in COMMANDS:
        assert command.name in text
        for argument in command.arguments:
            if argument.names[0].startswith("--"):
                assert argument.names[0][2:] in text


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("regenctl lo", "logs\tshow the daemon's log"),
        ("regenctl search --lang pyth", "python\tonly this language, such as python"),
        ("regenctl search --lang=pyth", "--lang=python\tonly this language, such as python"),
        ("regenctl help rei", "reindex"),
        ("regenctl mcp ins", "install"),
    ],
)
def test_fish_offers(tmp_path: Path, typed: str, offered: str) -> None:
    if shutil.which("fish") is None:
        pytest.skip("fish is not installed")
    (tmp_path / "regenctl.fish").write_text(fish())
    environ = {"HOME": str(tmp_path), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    script = f"source {tmp_path}/regenctl.fish; complete -C '{typed}'"
    done = subprocess.run(["fish", "-c", script], env=environ, capture_output=True, text=True, timeout=60)
    assert offered in done.stdout.splitlines(), done
