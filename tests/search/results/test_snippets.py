"""A snippet begins at the definition or at the densest lines, and never shows lines that are not the file's."""

import random
import re
from dataclasses import replace

import pytest

from regend.search.engine import Engine
from regend.search.options import SearchOptions
from regend.search.query.abbreviations import WORD_OF
from regend.search.query.parse import parse_query
from regend.search.results.snippets import SNIPPET_LINES, line_of, members, snippet
from regend.store.base import ChunkView, SymbolView
from regend.types import ChunkId
from tests.search.conftest import Corpus
from tests.search.memory import MemoryStore, hashed_vector


def view(text: str, start: int = 101, symbol: str = "") -> ChunkView:
    end = start + text.count("\n")
    return ChunkView(1 << 16, ChunkId(b"x" * 16), start, end, symbol, "function", 10, text)


def lines(count: int, **marked: str) -> str:
    numbered = [f"line number {i}" for i in range(count)]
    for position, text in marked.items():
        numbered[int(position[1:])] = text
    return "\n".join(numbered)


STORE = MemoryStore()


def test_a_short_chunk_is_shown_whole() -> None:
    text = lines(SNIPPET_LINES)
    assert snippet(STORE, view(text), ("number",)) == (text, 101, (), 101)


def test_a_definition_begins_at_its_top() -> None:
    text = lines(40, _1="def wanted():", _30="needle needle")
    found = snippet(STORE, view(text, symbol="Outer.wanted"), ("needle",))
    assert found.line == 101
    assert found.text.count("\n") == SNIPPET_LINES - 1


def test_elsewhere_the_densest_lines_win() -> None:
    text = lines(60, _5="alpha", _30="beta", _33="alpha", _36="gamma")
    found = snippet(STORE, view(text), ("alpha", "beta", "gamma"))
    assert found.line == 101 + 29
    assert all(word in found.text for word in ("alpha", "beta", "gamma"))


def test_matches_at_the_end_show_a_full_window() -> None:
    found = snippet(STORE, view(lines(60, _59="needle")), ("needle",))
    assert (found.line, found.text.count("\n") + 1) == (101 + 48, SNIPPET_LINES)


def test_no_match_shows_the_top() -> None:
    assert snippet(STORE, view(lines(60)), ("needle",)).line == 101


def test_a_known_definition_line_is_where_it_begins() -> None:
    assert snippet(STORE, view(lines(60)), ("needle",), anchor=131).line == 131
    assert snippet(STORE, view(lines(60)), ("needle",), anchor=103).line == 101  # Its comment above is worth showing.
    assert snippet(STORE, view(lines(60, _40="needle")), ("needle",), anchor=7).line == 101 + 39  # Not in this chunk.


def test_a_very_long_line_is_cut() -> None:
    found = snippet(STORE, view("x" * 100_000), ("x",))
    assert len(found.text) < 1_000


def test_lower_casing_that_changes_lengths_keeps_lines_right() -> None:
    text = lines(60, _10="İİİİİİİİ" * 20, _40="needle")
    assert "needle" in snippet(STORE, view(text), ("needle",)).text


def test_context_stops_at_the_file_s_ends() -> None:
    store = MemoryStore()
    root = store.add_root("/r")
    source = "def a():\n    return 1\n\n\ndef b():\n    return 2\n\ndef c():\n    return 3"
    entry = store.put(root, "a.py", source)
    middle = store.chunks([(entry.entry_id << 16) + 1])[0]
    assert snippet(store, middle, (), context=100)[:3] == (source, 1, ())
    assert snippet(store, middle, (), context=2) == ("\n\ndef b():\n    return 2\n\ndef c():", 3, (), 5)
    assert snippet(store, middle, ()) == ("def b():\n    return 2", 5, (), 5)


def test_lines_beyond_the_snippet_that_fit_are_named() -> None:
    text = lines(
        60, _0="def wanted():", _3="needle", _20="needle", _30="needle thread", _40="needle", _50="thread needle"
    )
    found = snippet(STORE, view(text, symbol="wanted"), ("needle", "thread"))
    assert found.line == 101
    assert found.matches == ((121, "needle"), (131, "needle thread"), (151, "thread needle"))
    wide = snippet(STORE, view(text, symbol="wanted"), ("needle", "thread"), max_lines=35)
    assert [match.line for match in wide.matches] == [141, 151]


def test_fewer_lines_begin_at_the_definition_itself() -> None:
    text = lines(40, _2="def wanted():")
    assert snippet(STORE, view(text, symbol="wanted"), (), max_lines=3).text.split("\n")[0] == "def wanted():"
    assert snippet(STORE, view(lines(40, _30="needle")), ("needle",), max_lines=1).text == "needle"


def test_the_head_of_what_matches_is_shown_where_there_is_room() -> None:
    functions = "\n\n".join(f"def part_{n}():\n" + "    call()\n" * 7 + f"    needle_{n}()" for n in range(6))
    run = replace(view(functions, symbol="Outer"), kind="block")
    found = snippet(STORE, run, ("needle_3",))
    assert found.text.startswith("def part_3():") and "needle_3()" in found.text
    assert snippet(STORE, run, ("needle_3",), max_lines=4).text.endswith("needle_3()\n\ndef part_4():")
    last = snippet(STORE, run, ("needle_5",))
    assert last.text.endswith("needle_5()") and last.text.count("\n") == SNIPPET_LINES - 1


def test_members_beyond_a_class_s_head_are_named_with_their_lines() -> None:
    head = replace(
        view("class Large:", symbol="Large"), outline="def push(self, job):\ndef pop_all(self):\ndef pop(self):"
    )
    symbols = [
        SymbolView(1, name, path, "method", line, line + 9)
        for name, path, line in (
            ("push", "Large.push", 120), ("pop", "Other.pop", 140), ("pop", "Large.pop", 160),
            ("inner", "Large.pop.inner", 165), ("pop_all", "Large.pop_all", 180),
        )
    ]  # fmt: skip
    assert members(symbols, head, ("pop",)) == ((160, "def pop(self):"), (180, "def pop_all(self):"))
    assert members(symbols, head, ("job", "pop")) == (
        (120, "def push(self, job):"), (160, "def pop(self):"), (180, "def pop_all(self):"),
    )  # fmt: skip
    assert members(symbols, head, ("elsewhere",)) == ()


@pytest.mark.parametrize("name", ["pop", "pop?", "operator==", "größe", "~Large", "pop:from:", "+", "pop_all"])
def test_a_member_is_shown_by_the_first_signature_with_its_whole_name(name: str) -> None:
    signatures = [
        f"a {name}x b",
        f"x{name} y" if name[0].isalnum() else "y",
        f"virtual {name} (a, b)",
        f"last {name} z",
    ]
    head = replace(view("class Large:", symbol="Large"), outline="\n".join(signatures))
    whole = re.compile(rf"(?<!\w){re.escape(name)}(?!\w)")
    wanted = next(line for line in signatures if whole.search(line))
    assert members([SymbolView(1, name, f"Large.{name}", "method", 120, 129)], head, ("virtual", "last", "a")) == (
        (120, wanted),
    )


def test_a_member_without_a_signature_is_shown_by_its_name() -> None:
    head = replace(view("class Large:", symbol="Large"), outline="def push(self):")
    for name in ("pop", "pop?", "[[\n\t'pop',\n]]"):
        last = SymbolView(1, "pop_all", "Large.pop_all", "method", 140, 149)
        found = members([SymbolView(1, name, f"Large.{name}", "method", 120, 129), last], head, ("pop",))
        assert found == ((120, " ".join(name.split())), (140, "pop_all"))


@pytest.mark.parametrize("max_lines", [1, 3, SNIPPET_LINES, 60])
@pytest.mark.parametrize(
    ("marked", "symbol", "anchor", "best"),
    [
        ({"_2": "def wanted():", "_30": "needles threaded"}, "Outer.wanted", 0, 131),  # The line with most words.
        ({"_2": "def wanted(needle):", "_30": "needles"}, "Outer.wanted", 0, 103),  # The definition, of equals.
        ({"_2": "def wanted():", "_30": "needle thread"}, "Outer.wanted", 121, 121),  # The definition that was named.
        ({"_2": "def wanted():"}, "Outer.wanted", 0, 103),  # No word at all.
        ({"_20": "needle", "_25": "needle thread"}, "", 0, 126),
        ({}, "", 0, 101),
    ],
)
def test_the_best_line_does_not_depend_on_how_many_are_shown(
    marked: dict[str, str], symbol: str, anchor: int, best: int, max_lines: int
) -> None:
    chunk = view(lines(60, **marked), symbol=symbol)
    found = snippet(STORE, chunk, ("needle", "thread"), anchor, 0, max_lines)
    assert found.best == best
    shown = range(found.line, found.line + found.text.count("\n") + 1)
    assert best in shown or best in [match.line for match in found.matches]
    there = snippet(STORE, chunk, ("needle", "thread"), anchor, 0, max_lines, at_best=True)
    assert there.best == best
    assert there.line <= best <= there.line + there.text.count("\n")
    assert there.text.count("\n") + 1 == min(max_lines, 60)


def test_a_short_form_counts_in_its_line_and_in_that_of_its_word() -> None:
    for short, word in WORD_OF.items():
        texts = ["-"] * 60
        texts[20], texts[40] = f"{word} +", f"{short} needle"
        chunk = view("\n".join(texts))
        assert snippet(STORE, chunk, (short,)).best == 121, short
        assert snippet(STORE, chunk, (short, "needle")).best == 141, short


def test_the_best_line_is_always_shown() -> None:
    rng = random.Random(11)
    words = ("cmd", "repo", "str", "max", "id", "vk", "needles", "handled", "größen", "文")
    for _ in range(2_000):
        count = rng.choice((5, 13, 40, 90))
        parts = [rng.sample(words, rng.choice((0, 0, 0, 1, 3))) for _ in range(count)]
        texts = ["x" * rng.randrange(3) + " ".join(part) for part in parts]
        chunk = view("\n".join(texts), symbol=rng.choice(("", "Outer.repo", "absent")))
        terms = tuple(rng.sample(words, rng.randrange(1, 5)))
        anchor = rng.choice((0, 101, 103, 100 + count, 7))
        found = snippet(STORE, chunk, terms, anchor, 0, rng.choice((1, 2, 3, SNIPPET_LINES)))
        seen = [*range(found.line, found.line + found.text.count("\n") + 1), *(match.line for match in found.matches)]
        assert found.best in seen, (texts, terms, anchor)


@pytest.mark.parametrize("wanted", [3, 12, 25])
def test_the_line_of_a_quoted_text_is_the_one_to_go_to(corpus: Corpus, wanted: int) -> None:
    root = corpus.add_root("/r/app")
    lines = [f'    call("typed words of plum {n}", n={n})' for n in range(1, 30)]
    text = "\n".join(["def all_calls():", *lines]) + "\n"
    corpus.put(root, "a.py", text)
    asked = f'"typed words of plum {wanted}"'
    (found, *_) = Engine(hashed_vector).search(corpus.snapshot, SearchOptions(parse_query(asked))).results
    assert text.split("\n")[found.line - 1].count(f'plum {wanted}"') == 1
    assert found.snippet_line <= found.line < found.snippet_line + found.snippet.count("\n") + 1


def test_a_quoted_text_over_several_lines_begins_at_its_first_one() -> None:
    chunk = view("one\ntwo  words\n   of three\nlines\ntwo\nwords")
    assert line_of("two words of three lines", chunk) == chunk.start_line + 1
    assert line_of("of THREE", chunk) == chunk.start_line + 2
    assert line_of("nowhere", chunk) == line_of(" ", chunk) == 0
