"""Help: each command has examples that parse, `-h` works everywhere, and a wrong word costs one line."""

from __future__ import annotations

import re
import shlex

import pytest

from regend.cli.arguments import COMMANDS, parse
from regend.cli.examples import EXAMPLES
from regend.cli.main import main

NAMES = [command.name for command in COMMANDS]


def ended(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    try:
        code = main(list(words))
    except SystemExit as ended:
        code = int(ended.code or 0)
    done = capsys.readouterr()
    return code, done.out, done.err


@pytest.mark.parametrize("name", NAMES)
def test_h_and_help_say_the_same_with_examples(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    texts = {ended(capsys, *words) for words in ((name, "-h"), (name, "--help"), ("help", name))}
    assert len(texts) == 1
    ((code, out, err),) = texts
    assert (code, err) == (0, "")
    assert out.count("\n  regenctl ") + out.count("\n  source ") >= 2
    assert "docs/" not in out, "a wheel carries no such file"


def test_every_command_has_two_or_three_examples() -> None:
    assert sorted(EXAMPLES) == sorted(NAMES)
    assert {len(examples) for examples in EXAMPLES.values()} <= {2, 3}


@pytest.mark.parametrize("line", [line for examples in EXAMPLES.values() for line, _ in examples])
def test_every_example_is_a_command_line_that_is_right(line: str) -> None:
    commands = re.findall(r"regenctl ((?:'[^']*'|\"[^\"]*\"|[^&;|>)'\"])*)", line)
    assert commands
    for words in commands:
        assert parse(shlex.split(words)).command.name in NAMES


def test_top_help_lists_all_commands(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = ended(capsys, "help")
    assert code == 0 and out == ended(capsys, "--help")[1] == ended(capsys, "-h")[1]
    assert all(f"\n  {name} " in out for name in NAMES)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("serach", "x"), "regenctl: there is no command 'serach'; did you mean search?; see `regenctl --help`"),
        (("help", "statsu"), "did you mean status?"),
        (("search", "x", "--expalin"), "unknown option --expalin; did you mean --explain?"),
        (("add", "--forse", "."), "regenctl add: unknown option --forse; did you mean --force?"),
        (("status", "--frobnicate"), "regenctl status: unknown option --frobnicate; see `regenctl status --help`"),
        (("list", "--state", "x"), "argument --state: invalid choice: 'x'"),
        (("service", "instal"), "regenctl service: argument"),
        (("stop", "now"), "regenctl stop: unexpected argument 'now'"),
        ((), "regenctl: name a command; see `regenctl --help`"),
    ],
)
def test_a_wrong_word_costs_one_line(words: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = ended(capsys, *words)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1 and sentence in err, err
