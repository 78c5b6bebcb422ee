"""Completion scripts are valid for their shell and offer what the table of commands has."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from regend.cli.arguments import COMMANDS, GLOBAL
from regend.cli.completion import LIVE, _zsh_action, bash, fish, zsh
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
        ("regenctl search --lang pyth", "python\tonly this language, such as python; may be repeated"),
        ("regenctl search --lang=pyth", "--lang=python\tonly this language, such as python; may be repeated"),
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


def fish_offers(place: Path, lines: list[str]) -> list[set[str]]:
    """Return the words that fish offers at the end of each line; an empty directory has no files to offer."""
    if shutil.which("fish") is None:
        pytest.skip("fish is not installed")
    (place / "regenctl.fish").write_text(fish())
    (place / "empty").mkdir()
    environ = {"HOME": str(place), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    asked = "".join(f"echo; echo //; complete -C {shlex.quote(line)}\n" for line in lines)
    script = f"source {place}/regenctl.fish\n{asked}"
    done = subprocess.run(
        ["fish", "-c", script], env=environ, cwd=place / "empty", capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr == ""
    return [{line.split("\t")[0] for line in part.split("\n") if line} for part in done.stdout.split("//\n")[1:]]


@pytest.mark.parametrize("before", ["", "--socket x --color always ", "--json --color=never "])
def test_fish_offers_the_options_of_the_command_alone(tmp_path: Path, before: str) -> None:
    """Words that name other commands stand behind it; options with values stand before it."""
    others = " ".join(command.name for command in COMMANDS)
    lines = [f"regenctl {before}{command.name} {others} --" for command in COMMANDS]
    for command, offered in zip(COMMANDS, fish_offers(tmp_path, lines), strict=True):
        names = {name for flag in (*command.arguments, *GLOBAL) for name in flag.names}
        assert offered == {name for name in names if name.startswith("--")}, command.name


def test_fish_offers_the_words_of_a_place_behind_any_options(tmp_path: Path) -> None:
    """The values of options are no words of the command."""
    asked: list[tuple[str, set[str]]] = [("regenctl --color always --socket x ", {c.name for c in COMMANDS})]
    for command in COMMANDS:
        first = next((a for a in command.arguments if not a.names[0].startswith("-")), None)
        words = first.complete if first else ""
        if first and words and not {words, *words.split("|")} & {*LIVE, "file", "directory", "commands"}:
            for flag in command.arguments:
                if flag.names[0].startswith("-"):
                    value = "" if "action" in flag.options else " 1"
                    line = f"regenctl --socket x {command.name} {flag.names[-1]}{value} "
                    asked.append((line, set(words.split())))
    assert len(asked) > 5
    for (line, wanted), offered in zip(asked, fish_offers(tmp_path, [line for line, _ in asked]), strict=True):
        assert offered == wanted, line


def test_zsh_offers_roots_and_directories_where_a_root_is_wanted() -> None:
    """The action is run as `_arguments` of zsh runs it, with the functions of zsh's completion replaced."""
    if shutil.which("zsh") is None:
        pytest.skip("zsh is not installed")
    action = _zsh_action("roots")
    script = (
        "regenctl() { print -l '/srv/two words' '/srv/a*' }; compadd() { print -rl -- \"$@\" }; "
        f'_files() {{ print -r files "$@" }}; {action[1:-1]}'
    )
    done = subprocess.run(["zsh", "-f", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["--", "/srv/two words", "/srv/a*", "files -/"]
