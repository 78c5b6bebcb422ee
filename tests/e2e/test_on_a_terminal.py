"""On a terminal the answer fits the screen, words are marked, and what is longer goes through a pager."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator

import pytest

from tests.e2e.terminal import Place, places

SEARCH = ("regenctl", "search", "queue of jobs", "-k", "5")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with places(tmp_path_factory.mktemp("terminal").resolve()) as made:
        yield made


@pytest.mark.parametrize("rows", [14, 24, 40, 80])
@pytest.mark.parametrize("columns", [40, 100])
def test_results_fit_the_screen(place: Place, rows: int, columns: int) -> None:
    shown, code = place.on_terminal("app", *SEARCH, rows=rows, columns=columns, REGEND_PAGER="false")
    lines = COLOUR.sub("", shown).splitlines()
    assert code == 0
    assert len(lines) < rows
    headings = [line for line in lines if re.match(r"\S.*:\d+(  \S.*)?  \d+ %", line)]
    assert len(headings) == 5
    assert headings[0].endswith("100 %")
    code_lines = [line for line in lines if re.match(r" +\d+  ", line)]
    assert len(code_lines) >= len(headings)
    assert all(len(line) <= columns for line in code_lines)
    assert re.fullmatch(r"5 results in app in \d+\.\d ms(; more with --offset 5)?", lines[-1])


def test_words_are_marked_and_the_environment_says_whether(place: Place) -> None:
    shown, _ = place.on_terminal("app", *SEARCH)
    assert "\x1b[31;1mQueue\x1b[0m of \x1b[31;1mjobs\x1b[0m waiting" in shown
    for options, environ in (((), {"NO_COLOR": "1"}), (("--color", "never"), {}), ((), {"TERM": "dumb"})):
        shown, _ = place.on_terminal("app", *SEARCH, *options, **environ)
        assert "\x1b" not in shown
    for options, environ in (
        ((), {"FORCE_COLOR": "1"}), ((), {"CLICOLOR_FORCE": "1"}), (("--color=always",), {"NO_COLOR": "1"})
    ):  # fmt: skip
        done = place.run("app", *SEARCH, "--format", "human", *options, **environ)
        assert "\x1b[31;1mjobs\x1b[0m" in done.stdout
        assert "\x1b" not in place.run("app", *SEARCH, *options, **environ).stdout  # Programs get text only.
    assert "\x1b" not in place.run("app", *SEARCH, "--format", "human").stdout


def test_more_is_shown_on_request(place: Place) -> None:
    def lines(*options: str) -> list[str]:
        shown, code = place.on_terminal("app", "regenctl", "search", "JobQueue", "-k", "1", "--no-pager", *options)
        assert code == 0
        return COLOUR.sub("", shown).splitlines()

    assert [line.split()[0] for line in lines("--snippet-lines", "2")[1:-1]] == ["4", "5"]
    assert [line.split()[0] for line in lines("-C", "1")[1:-1]] == ["3", "4", "5"]
    assert len(lines("-v")) > 10
    whole = lines("--explain")
    shares = [float(found[1]) for line in whole if (found := re.match(r" +\w+ +\S+ +([+-][\d.]+) %$", line))]
    assert shares
    assert 0.0 not in shares
    assert sum(shares) == pytest.approx(100, abs=0.1 * len(shares))


@pytest.mark.parametrize("variable", ["REGEND_PAGER", "PAGER"])
def test_a_long_page_goes_through_the_pager(place: Place, variable: str) -> None:
    pager = "sed 's/^/paged: /'"
    shown, code = place.on_terminal("app", *SEARCH, "-v", rows=10, **{variable: pager})
    lines = shown.splitlines()
    assert code == 0
    assert all(line.startswith("paged: ") for line in lines), shown
    assert "5 results in app" in lines[-1]
    for options, environ in ((("--no-pager",), {}), ((), {"REGEND_PAGER": "cat"}), ((), {"REGEND_PAGER": ""})):
        plain, code = place.on_terminal("app", *SEARCH, "-v", *options, rows=10, **{"PAGER": pager, **environ})
        assert code == 0
        assert "paged: " not in plain
        assert "5 results in app" in plain
    short, _ = place.on_terminal("app", *SEARCH, rows=60, **{variable: pager})
    assert "paged: " not in short


def test_a_pager_that_is_missing_or_ends_early_loses_nothing(place: Place) -> None:
    shown, code = place.on_terminal("app", *SEARCH, "-v", rows=10, REGEND_PAGER="no-such-pager")
    assert code == 0
    assert "5 results in app" in shown
    shown, code = place.on_terminal("app", *SEARCH, "-v", rows=10, REGEND_PAGER="head -n 1")
    assert code == 0
    assert len(shown.splitlines()) == 1


@pytest.mark.skipif(shutil.which("less") is None, reason="less is not installed (Debian: apt-get install less)")
def test_less_shows_colours_and_ends_with_q(place: Place) -> None:
    shown, code = place.on_terminal("app", *SEARCH, "-v", rows=10, keys=b"q")
    assert code == 0
    assert "\x1b[31;1m" in shown
    assert "5 results in app" not in shown  # It is below the first screen.


def test_nothing_found_and_errors_have_their_codes_on_a_terminal_too(place: Place) -> None:
    shown, code = place.on_terminal("app", "regenctl", "search", "xyzzyplugh")
    assert (code, "xyzzyplugh" in shown) == (1, True)
    assert place.on_terminal("stranger", "regenctl", "search", "queue")[1] == 2


def test_what_is_in_files_cannot_control_the_terminal(place: Place) -> None:
    (place.base / "other/evil\x1b[2J.py").write_text("def evil_twin(job):\n    return '\x1b[31mred\x07'\n")
    assert place.served.flush()["complete"]
    for form in ((), ("--format", "grep"), ("-l",), ("--format", "vimgrep")):
        shown, _ = place.on_terminal("other", "regenctl", "search", "evil_twin", "--color", "never", *form)
        assert "evil" in shown
        assert "\x1b" not in shown
        assert "\x07" not in shown
    (place.base / "other/evil\x1b[2J.py").unlink()
