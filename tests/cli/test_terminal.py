"""Text for people: colour only where it is wanted, nothing that could control the terminal, aligned columns."""

from __future__ import annotations

import io
import json
import sys
import unicodedata

import pytest

from regend.cli.asking.lines import cut
from regend.cli.settings import toml
from regend.cli.terminal import (
    Style,
    bytes_text,
    choose_colour,
    columns,
    duration_text,
    is_read_by_people,
    print_json,
    printable,
    wants_colour,
    width_of,
)
from regend.errors import count_text


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "environ", "expected"),
    [
        (Terminal(), {}, True),
        (Terminal(), {"NO_COLOR": "1"}, False),
        (Terminal(), {"NO_COLOR": ""}, True),
        (Terminal(), {"TERM": "dumb"}, False),
        (io.StringIO(), {}, False),
        (Terminal(), {"CLICOLOR": "0"}, False),
        (io.StringIO(), {"FORCE_COLOR": "1"}, True),
        (io.StringIO(), {"FORCE_COLOR": ""}, False),
        (io.StringIO(), {"CLICOLOR_FORCE": "1"}, True),
        (io.StringIO(), {"CLICOLOR_FORCE": "0"}, False),
        (Terminal(), {"CLICOLOR_FORCE": "1", "CLICOLOR": "0"}, True),
        (Terminal(), {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        (Terminal(), {"FORCE_COLOR": "1", "TERM": "dumb"}, True),
    ],
)
def test_colour_is_for_terminals_that_want_it(stream: io.StringIO, environ: dict[str, str], expected: bool) -> None:
    assert wants_colour(stream, environ) is expected


@pytest.mark.parametrize(
    ("stream", "environ", "expected"),
    [
        (Terminal(), {}, True),
        (Terminal(), {"TERM": "dumb", "INSIDE_EMACS": "28.2,comint"}, True),
        (Terminal(), {"TERM": "dumb", "INSIDE_EMACS": "28.2,compile"}, False),
        (Terminal(), {"TERM": "emacs-grep"}, False),
        (io.StringIO(), {}, False),
    ],
)
def test_emacs_reads_what_it_runs_on_a_terminal(stream: io.StringIO, environ: dict[str, str], expected: bool) -> None:
    assert is_read_by_people(stream, environ) is expected


@pytest.mark.parametrize("environ", [{}, {"NO_COLOR": "1"}, {"FORCE_COLOR": "1"}, {"TERM": "dumb"}])
@pytest.mark.parametrize("stream", [Terminal(), io.StringIO()])
def test_the_option_goes_before_the_environment(
    stream: io.StringIO, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regend.cli.terminal._chosen", {})
    usual = wants_colour(stream, environ)
    for when, expected in (("always", True), ("never", False), ("auto", usual), (None, usual)):
        choose_colour(when)
        assert wants_colour(stream, environ) is expected


def test_style() -> None:
    assert Style(True)("x", "red", "bold") == "\x1b[31;1mx\x1b[0m"
    assert Style(True)("", "red") == ""
    assert Style(False)("x", "red") == "x"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain café", "plain café"),
        ("\tx", "    x"),
        ("a\x1b[2Jb", "a�[2Jb"),
        ("a\r\x07b", "a��b"),
        ("caf\udce9", "caf�"),
        ("a\u202eb", "a�b"),
        ("a\u3000b\u00a0c\u2009d", "a\u3000b\u00a0c\u2009d"),
        ("\U0001f468\u200d\U0001f469 \u2764\ufe0f", "\U0001f468\u200d\U0001f469 \u2764\ufe0f"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("\ue0b0 \uf8ff", "\ue0b0 \uf8ff"),
        ("\U0001f3f4\U000e0067\U000e007f", "\U0001f3f4\U000e0067\U000e007f"),
        ("a\u2028b\x85c\x9bd", "a�b�c�d"),
    ],
)
def test_what_comes_from_files_cannot_control_the_terminal(text: str, expected: str) -> None:
    assert printable(text) == expected


def test_only_what_controls_a_terminal_is_replaced() -> None:
    """Every character there is: letters, marks, signs, spaces and joiners stay, whatever Python knows of them."""
    reordering = {*range(0x202A, 0x202F), *range(0x2066, 0x2070)}
    for code in range(sys.maxunicode + 1):
        char = chr(code)
        controls = unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") or code in reordering
        expected = "    " if char == "\t" else "\N{REPLACEMENT CHARACTER}" if controls else char
        assert printable(char) == expected, hex(code)


def test_columns() -> None:
    assert columns([("a", "1"), ("bbb", "22")], frozenset({1})) == ["a     1", "bbb  22"]
    assert columns([]) == []


def test_columns_are_aligned_where_letters_are_wide_or_joined() -> None:
    """File names have such letters; macOS gives names with their accents apart."""
    words = {
        "ab": 2, "日本": 4, "ｆｕ": 4, "é": 1, "e\u0301": 1, "한글": 4, unicodedata.normalize("NFD", "한글"): 4,
        "\U0001f600": 2, "a\u200db": 2, "": 0,
    }  # fmt: skip
    for word, width in words.items():
        assert width_of(word) == width, word
        assert columns([(word, "x"), ("12345", "x")]) == [word + " " * (5 - width) + "  x", "12345  x"]
        assert columns([(word, "x"), ("12345", "x")], frozenset({0}))[0] == " " * (5 - width) + word + "  x"
        for limit in range(1, 12):
            shown = cut(word * 3, limit)
            assert width_of(shown) <= limit, (word, limit)
            assert shown == word * 3 if width * 3 <= limit else shown.endswith("…")


@pytest.mark.parametrize(
    ("count", "expected"), [(0, "0 B"), (999, "999 B"), (1_000, "1.0 kB"), (52_428_800, "52.4 MB"), (3e12, "3000.0 GB")]
)
def test_bytes(count: float, expected: str) -> None:
    assert bytes_text(count) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0, "0 s"), (59.9, "59 s"), (61, "1 min 1 s"), (3_600, "1 h"), (90_061, "1 d 1 h")]
)
def test_durations(seconds: float, expected: str) -> None:
    assert duration_text(seconds) == expected


def test_counts() -> None:
    assert [count_text(n, "file") for n in (0, 1, 1200)] == ["0 files", "1 file", "1,200 files"]
    assert count_text(2, "entry", "entries") == "2 entries"


@pytest.mark.parametrize("value", [{"a": ["é", None, 1.5, True]}, {"p": "caf\udce9"}, {"caf\udce9": {}}])
def test_json_can_always_be_read_back(value: object, capsys: pytest.CaptureFixture[str]) -> None:
    print_json(value)
    printed = capsys.readouterr().out
    assert json.loads(printed) == value
    printed.encode()


@pytest.mark.parametrize("value", [1, 1.5, 'quote " and \\ and é', True, ["x", "y"], []])
def test_toml(value: object) -> None:
    import tomllib

    assert tomllib.loads(f"key = {toml(value)}") == {"key": value}
