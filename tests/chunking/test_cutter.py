"""Chunks are worth reading: neighbours are gathered, nothing stands alone that is too short, and edits stay local."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regend.chunking.chunker import chunk_content
from regend.chunking.cutter import MIN_LINES, MIN_TOKENS
from regend.chunking.tokens import estimate_tokens
from regend.config import LimitConfig
from regend.types import UNSURE, Chunk
from tests.chunking.test_chunker import check_well_formed
from tests.chunking.test_languages import CASES

LIMITS = LimitConfig()
MOST = LIMITS.chunk_tokens * 5 // 4
GATHERED = LIMITS.chunk_tokens // 2


def chunks(source: str, language: str = "python") -> tuple[Chunk, ...]:
    result = chunk_content(source.encode(), language, UNSURE, LIMITS)
    check_well_formed(result, source)
    return result.chunks


def shape(source: str, language: str = "python") -> list[tuple[int, int, str, str]]:
    return [(chunk.start_line, chunk.end_line, chunk.symbol, chunk.kind) for chunk in chunks(source, language)]


def tokens_between(source: str, first: Chunk, last: Chunk) -> int:
    lines = source.split("\n")[first.start_line - 1 : last.end_line]
    return sum(estimate_tokens(line) for line in lines if line.strip())


def function(name: str, lines: int, indent: str = "") -> str:
    body = "".join(f"{indent}    step_{n} = {name}_of(value, {n})\n" for n in range(lines))
    return f"{indent}def {name}(value):\n{body}{indent}    return value\n"


def test_small_neighbours_of_any_kind_are_gathered() -> None:
    source = "import os\n\n\n# About f.\n@cached\ndef f():\n    return 1\n\n\nclass A:\n    x = 1\n"
    assert shape(source) == [(1, 11, "", "block")]
    parts = chunks("\n\n".join(function(f"work_{n}", 4) for n in range(60)))
    assert 10 <= len(parts) <= 40
    assert {(part.symbol, part.kind) for part in parts} <= {("", "block")} | {
        (f"work_{n}", "function") for n in range(60)
    }


def test_a_definition_with_a_small_neighbour_keeps_its_name() -> None:
    assert shape(f"LIMIT = 3\n\n\n{function('work', 9)}") == [(1, 14, "work", "function")]
    small = chunks(f"import os\n\n\nclass Large:\n{''.join(function(f'work_{n}', 30, '    ') for n in range(3))}")
    assert next((part.symbol, part.kind) for part in small) == ("Large", "class")


def test_a_large_class_has_a_head_with_the_signatures_of_its_members() -> None:
    methods = "\n".join(function(f"work_{n}", 12, "    ") for n in range(9))
    head, *others = chunks(f'class Large(Base):\n    """Does all."""\n\n    limit = 3\n    other = 4\n\n{methods}')
    assert (head.symbol, head.kind, head.start_line) == ("Large", "class", 1)
    within = head.text + "\n" + head.outline
    assert all(within.count(f"def work_{n}(value):") == 1 for n in range(9))
    assert "work_8" in head.lexical.split()
    assert not any(other.outline for other in others)


@pytest.mark.parametrize(
    ("language", "source", "names"),
    [
        (
            "typescript",
            "export class A {\n  private x = 1;\n  %s\n}\n",
            "  m_{n}(value: number): void {{\n{body}  }}\n",
        ),
        ("rust", "impl A {\n%s}\n", "    pub fn m_{n}(&self) {{\n{body}    }}\n"),
        ("java", "class A {\n    int x;\n%s}\n", "    @Override\n    public int m_{n}() {{\n{body}    }}\n"),
        ("ruby", "class A\n  include B\n%send\n", "  def m_{n}(value)\n{body}  end\n"),
        ("cpp", "class A {\npublic:\n  int x;\n%s};\n", "  int\n  m_{n}() {{\n{body}  }}\n"),
        ("python", "class A:\n    x = 1\n%s", "    @cached\n    @other\n    def m_{n}(self):\n{body}"),
    ],
)
def test_the_head_names_all_members(language: str, source: str, names: str) -> None:
    body = "".join(f"        call_{k}(value);\n" for k in range(12))
    head = chunks(source % "\n".join(names.format(n=n, body=body) for n in range(12)), language)[0]
    assert head.symbol == "A"
    assert all(f"m_{n}(" in head.text + head.outline for n in range(12))
    assert "call_0(" not in head.outline


def test_names_stand_for_signatures_that_do_not_fit() -> None:
    members = [f"work_{n}" for n in range(60)]
    signature = "    def {}(self, {}):\n        return 1\n\n\n"
    parameters = ", ".join(f"parameter_{n}: dict[str, int]" for n in range(6))
    head = chunks("class A:\n" + "".join(signature.format(name, parameters) for name in members))[0]
    assert "parameter_0" not in head.outline
    assert [name for name in members if name not in head.text] == head.outline.split("\n")
    endless = "class A:\n" + "".join(f"    def work_with_number_{n}(self): pass\n" for n in range(2_000))
    assert max(part.token_count for part in chunks(endless)) <= MOST


def test_a_body_changes_no_head_and_a_signature_does() -> None:
    def head(change: tuple[str, str]) -> bytes:
        methods = "\n".join(function(f"work_{n}", 12, "    ") for n in range(9))
        return chunks(f"class Large:\n    limit = 3\n\n{methods.replace(*change)}")[0].chunk_id

    assert (
        head(("", "")) == head(("step_3 = work_7_of", "step_3 = work_7_or")) != head(("work_7(value", "work_7(other"))
    )


@pytest.mark.parametrize(
    ("language", "source", "expected"),
    [
        ("python", "@overload\ndef f(a: int): ...\n\n\n@overload\ndef f(a: str): ...\n\n\ndef f(a):\n%s", "f"),
        ("typescript", "function f(a: string): void;\n\nfunction f(a: number): void;\nfunction f(a) {\n%s}\n", "f"),
        ("haskell", "f :: Int -> Int\n\n-- | equation\nf x = do\n%s", "f"),
        ("rust", "#[inline]\n\npub fn f() {\n%s}\n", "f"),
    ],
)
def test_what_belongs_to_a_definition_stays_with_it(language: str, source: str, expected: str) -> None:
    body = "".join(f"    call_{k}(value)\n" for k in range(40))
    filler = "".join(f"    other_{k}(value)\n" for k in range(40))
    whole = source % body
    before = {"python": f"def g():\n{filler}", "haskell": f"g x = do\n{filler}"}.get(language, "")
    parts = chunks(f"{before}\n\n{whole}", language)
    assert (parts[-1].symbol, parts[-1].kind) == (expected, "function")
    assert parts[-1].text == whole.rstrip("\n")


@st.composite
def sources(draw: st.DrawFn) -> tuple[str, str]:
    """Draw a source out of pieces of real ones, some long, some deep, some mutilated."""
    language = draw(st.sampled_from(sorted(CASES)))
    parts = draw(st.lists(st.integers(0, 9), min_size=1, max_size=9))
    line = "".join(f" word_{n}" for n in range(draw(st.integers(1, 30))))
    text = ""
    for part in parts:
        text += CASES[language][0] if part < 6 else f"{' ' * (part - 6)}{line}\n" * draw(st.integers(1, 60))
        text += "\n" * draw(st.integers(0, 2))
    return language, text


@settings(max_examples=150, deadline=None)
@given(sources())
def test_no_chunk_is_too_short_unless_its_neighbours_are_full(drawn: tuple[str, str]) -> None:
    language, source = drawn
    parts = chunks(source, language)
    for before, after in pairwise(parts):
        short = any(
            part.end_line - part.start_line + 1 < MIN_LINES or tokens_between(source, part, part) < MIN_TOKENS
            for part in (before, after)
        )
        assert not short or tokens_between(source, before, after) > MOST


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=2, max_size=60))
def test_neighbours_that_fit_together_are_together(lengths: list[int]) -> None:
    source = "\n\n".join(function(f"work_{n}", lines) for n, lines in enumerate(lengths))
    for before, after in pairwise(chunks(source)):
        assert tokens_between(source, before, after) > GATHERED


def changed(before: str, after: str, language: str = "python") -> int:
    """Return how many chunks of `after` are not in `before`."""
    return len(
        {part.chunk_id for part in chunks(after, language)} - {part.chunk_id for part in chunks(before, language)}
    )


FORMS = {
    "python": ("{0}def {1}(value):\n{2}{0}    return value\n", "class Large:\n", ""),
    "rust": ("{0}/// Works.\n{0}pub fn {1}(value: u32) {{\n{2}{0}}}\n", "impl Large {\n", "}\n"),
    "typescript": ("{0}{1} = (value: number) => {{\n{2}{0}}};\n", "export class Large {\n", "}\n"),
    "haskell": ("{0}{1} :: Int -> Int\n{0}{1} value = do\n{2}", "class Large a where\n", ""),
    "yaml": ("{0}{1}:\n{2}", "large:\n", ""),
    "markdown": ("## {1}\n\n{2}", "# Large\n\n", ""),
}
"""A member at an indentation, by its name and lines, and what opens and closes what encloses half of them."""


@pytest.mark.parametrize("language", FORMS)
def test_an_edit_changes_only_the_chunks_it_touches(language: str) -> None:
    """One edit in each of 20 files of 60 members, half of them enclosed; most files have some 25 chunks."""
    rng = random.Random(7)
    member, opening, closing = FORMS[language]

    def written(members: list[tuple[str, int]], marked: int = -1) -> str:
        texts = []
        for n, (name, lines) in enumerate(members):
            indent = "    " * (n > 30)
            body = "".join(f"{indent}    step_{k}: {name}_of(value, {k})\n" for k in range(lines))
            body += f"{indent}    inserted: 1\n" * (n == marked)
            texts.append((opening if n == 31 else "") + member.format(indent, name, body))
        return "\n".join(texts) + closing

    counts = []
    for _ in range(20):
        members = [(f"work_{n}", rng.randrange(1, 14)) for n in range(60)]
        at = rng.randrange(60)
        if rng.random() < 0.5:
            after = written(members, marked=at)
        else:
            gone = rng.randrange(2)
            after = written(members[:at] + [("inserted", rng.randrange(1, 14))] * (1 - gone) + members[at + gone :])
        counts.append(changed(written(members), after, language))
    assert sum(counts) / len(counts) <= 2.5
    assert max(counts) <= 7


def test_a_line_in_a_long_text_changes_few_windows() -> None:
    rng = random.Random(7)
    lines = [f"{' ' * rng.randrange(9)}Line {n} speaks of subject {n * 7919 % 613}." for n in range(2_000)]
    for at in (0, 1_000, 1_999):
        after = [*lines[:at], "A new line.", *lines[at:]]
        assert changed("\n".join(lines), "\n".join(after), "text") <= 4
