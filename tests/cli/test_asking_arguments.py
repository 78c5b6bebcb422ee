"""Options of a question may stand before, between and behind its words; exclusions and what follows `--` are words."""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import pytest

from regend.cli.arguments import COMMANDS, GLOBAL, parse
from regend.cli.asking.arguments import MODULE
from regend.cli.asking.queries import _asked, split_place

OPTIONS = (["-k", "3"], ["-lC", "2"], ["-vC2"], ["--lang=go"], ["-g", "*.py"], ["--all"])


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
def test_options_may_stand_anywhere(order: tuple[int, ...]) -> None:
    for options in itertools.combinations(OPTIONS, 2):
        parts = [["retry", "limits"], *options]
        values = parse(["search", *(word for place in order for word in parts[place])])
        assert values.query == ["retry", "limits"]
        given = [word for option in options for word in option]
        assert values.k == (3 if "-k" in given else None)
        assert values.context == (2 if {"-lC", "-vC2"} & set(given) else None)
        assert (values.files_with_matches, values.verbose) == ("-lC" in given, "-vC2" in given)
        assert values.lang == (["go"] if "--lang=go" in given else [])
        assert values.glob == (["*.py"] if "-g" in given else [])
        assert values.all == ("--all" in given)


@pytest.mark.parametrize(
    ("words", "query"),
    [
        (["retry", "-mock", "-k", "3", "-path:tests/**"], ["retry", "-mock", "-path:tests/**"]),
        (["-k", "3", "--", "--all", "-x"], ["--all", "-x"]),
        (["retry", "--", "-x", "--", "y"], ["retry", "-x", "--", "y"]),
        (["-", "retry"], ["-", "retry"]),
    ],
)
def test_words_that_begin_with_a_dash(words: list[str], query: list[str]) -> None:
    values = parse(["search", *words])
    assert values.query == query
    assert not values.all


def test_names_and_paths_of_symbols(capsys: pytest.CaptureFixture[str]) -> None:
    values = parse(["symbols", "-k", "2", "push", "--json", "src", "-t", "py", "tests"])
    assert (values.name, values.paths, values.k, values.lang, values.json) == (
        "push",
        ["src", "tests"],
        2,
        ["py"],
        True,
    )
    for words in ("search x -k", "search --lang", "search x --format odd", "symbols -k 2"):
        with pytest.raises(SystemExit) as stopped:
            parse(words.split())
        assert stopped.value.code == 2
    assert "\0" not in capsys.readouterr().err


@pytest.mark.parametrize("words", ["-t py -t go", "--lang py,go", "--type=py --lang=go"])
def test_languages_add_up(words: str) -> None:
    assert ",".join(parse(["search", "x", *words.split()]).lang) == "py,go"


@pytest.mark.parametrize("option", ["--lang", "--kind", "--root"])
def test_an_empty_value_is_refused(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["search", "x", option, ""])
    assert "it is empty; name a" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kinds", "query"),
    [([], "x"), (["fn"], 'x kind:"fn"'), (["fn", "class,type"], 'x kind:"fn,class,type"'), (['a" b'], 'x kind:"a b"')],
)
def test_kinds_are_one_filter_of_the_query(kinds: list[str], query: str) -> None:
    assert _asked("x", argparse.Namespace(regex=False, group=None, kind=kinds)) == query


VALUED = [
    (command.name, name)
    for command in COMMANDS
    if command.module == MODULE
    for argument in (*command.arguments, *GLOBAL)
    for name in argument.names
    if name.startswith("-") and argument.options.get("action", "append") == "append"
]


@pytest.mark.parametrize(("command", "option"), VALUED)
def test_an_option_at_the_end_takes_no_word_for_its_value(
    command: str, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["3", option], ["3", "python", option], [option]):
        with pytest.raises(SystemExit) as stopped:
            parse([command, *words])
        assert stopped.value.code == 2
        assert f"{option}: expected one argument" in capsys.readouterr().err


@pytest.mark.parametrize("command", [command.name for command in COMMANDS if command.module == MODULE])
def test_a_command_without_words_names_what_it_needs(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        parse([command])
    assert stopped.value.code == 2
    assert "required" in capsys.readouterr().err


@pytest.mark.parametrize("suffix", ["(2)", ":2", ":2:", ":2-4", "#L2", "#L2-L4", "(2,4)", "(2):"])
def test_a_line_behind_a_file_is_a_line_unless_the_file_is_called_so(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for folder in ("", f"{tmp_path}/", "~/"):
        assert split_place(f"{folder}notes{suffix}") == (f"{folder}notes", 2)
    Path(f"notes{suffix}").touch()
    for folder in ("", f"{tmp_path}/", "~/"):
        assert split_place(f"{folder}notes{suffix}") == (f"{folder}notes{suffix}", 0)


def test_words_too_many_are_named_as_they_were_written(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["outline", "a.py", "b.py"])
    assert "unexpected argument 'b.py';" in capsys.readouterr().err


@pytest.mark.parametrize("count", [18, 19, 5_000])
def test_a_line_of_many_digits_is_one_that_no_file_has(count: int) -> None:
    digits = "9" * count
    for place in (f"a.py:{digits}", f"a.py#L{digits}", f"a.py({digits})"):
        assert split_place(place) == ("a.py", int(digits[:30]))


def test_a_width_of_many_digits_is_a_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "9" * 5_000)
    assert parse(["search", "x"]).query == ["x"]
