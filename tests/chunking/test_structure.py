"""Macros in the way are hidden, pieces of other languages keep their lines, notebooks lose their outputs."""

from __future__ import annotations

import itertools
import json
import random
import time

import pytest

from regend.chunking.chunker import chunk_content
from regend.chunking.grammars import spec_of
from regend.chunking.masking import masked
from regend.chunking.notebooks import largest_bytes, notebook_of
from regend.config import LimitConfig
from regend.types import UNSURE, ChunkedFile


def chunked(text: str, language: str, **limits: int) -> ChunkedFile:
    return chunk_content(text.encode(), language, UNSURE, LimitConfig(**limits))


def rows(text: str, language: str) -> list[tuple[str, str, int, int]]:
    return [(s.kind, s.path, s.start_line, s.end_line) for s in chunked(text, language).symbols]


MACROS = ["X_API", "LIB_EXPORT", 'DEPRECATED("x")', "ALIGNED(16)", "A_API B_API"]


@pytest.mark.parametrize("macro", MACROS)
@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("class {} Actor : public Base {{\n void tick() {{ }}\n}};\n", ["Actor", "Actor.tick"]),
        ("struct {} Options {{ int a; }};\n", ["Options", "Options.a"]),
        ("union {} Bits {{ int a; }};\n", ["Bits", "Bits.a"]),
        ("{} int open_it(int a);\n", ["open_it"]),
        ("static {} char *name_of(int a) {{ return 0; }}\n", ["name_of"]),
        ("int x;\n\n{}\nvoid run(void) {{ }}\n", ["x", "run"]),
        ("void stop(void) {};\n", ["stop"]),
    ],
)
def test_macros_do_not_take_names(macro: str, template: str, expected: list[str]) -> None:
    assert [path for _, path, _, _ in rows(template.format(macro), "cpp")] == expected


@pytest.mark.parametrize("seed", range(40))
def test_no_recipe_and_no_value_of_a_makefile_hides_what_follows(seed: int) -> None:
    picked = random.Random(seed)
    words = [
        "if",
        "[",
        "-d",
        "x",
        "]",
        ";",
        "then",
        "'{",
        "}'",
        '"',
        "$(A)",
        "$$",
        "(",
        ")",
        ">",
        "2>&1",
        "|",
        "&&",
        "\\",
        "s/\\(.*/",
    ]
    expected: list[tuple[str, str]] = []
    lines: list[str] = []
    for number in range(6):
        odd = " ".join(picked.choices(words, k=picked.randint(1, 9))).rstrip("\\ ") or "x"
        match picked.randrange(4):
            case 0:
                sign = picked.choice(["=", " = ", " := ", "?=", " += ", "::="])
                lines += [f"V{number}{sign}{odd}"]
                expected.append(("variable", f"V{number}"))
            case 1:
                lines += [f"V{number} = a \\", f"  {odd} \\", f"\t{odd}"]
                expected.append(("variable", f"V{number}"))
            case 2:
                lines += [f"r{number}: a b", f"\t@{odd} \\", f"\t  {odd}", f"\t{odd}"]
                expected.append(("rule", f"r{number}"))
            case _:
                lines += ["ifdef A", f"\tV{number} ?= {odd}", "endif"]
                expected.append(("variable", f"V{number}"))
    found = [(kind, path.rpartition(".")[2]) for kind, path, _, _ in rows("\n".join(lines) + "\n", "make")]
    assert found == expected, lines


CONDITIONALS = ["#ifdef A\n{}\n#else\n{}\n#endif", "#if A\n{}\n#elif B\n{}\n#else\nz();\n#endif"]


@pytest.mark.parametrize("conditional", CONDITIONALS)
@pytest.mark.parametrize(
    ("first", "second", "closing"),
    [
        ("if (a) {", "if (b) {", "}"),
        ("while (a(1)) {", "for (;;) {", "}"),
        ("x = f(a,", "x = f(b,", "c);"),
        ("if (a)\nr();\nelse if (b) {", "if (c) {", "}"),
    ],
)
def test_branches_that_open_the_same_brace(conditional: str, first: str, second: str, closing: str) -> None:
    body = conditional.format(first, second) + "\n" + closing
    text = f"int before(void) {{ return 0; }}\n\nint split(int a)\n{{\n{body}\n}}\n\nint after(void)\n{{\n}}\n"
    found = rows(text, "c")
    assert [path for _, path, _, _ in found] == ["before", "split", "after"]
    lines = text.split("\n")
    assert all(path in lines[start - 1] for _, path, start, _ in found)


@pytest.mark.parametrize("conditional", ["#ifdef A\n{}\n#endif", "#if A && \\\n  B\n{}\n#else\n{}\n#endif"])
@pytest.mark.parametrize(
    ("before", "branch", "after"),
    [
        ("int f(int a) {\nint x =", "a +", "1;\n}"),
        ("int f(int a) {\nreturn", "a ? 1 :", "2;\n}"),
        ("int f(int a) {\nreturn a", "+ 1", ";\n}"),
        ("int f(int a) {\nif (a) g(); else", "if (x)", "h();\n}"),
        ("int f(int a) {\ncall(a,", "b,", "c);\n}"),
        ("", "int f(int a)", "{\n}"),
        ("int f(int a)", "{\n}", ""),
    ],
)
def test_statements_that_go_on_around_a_conditional(conditional: str, before: str, branch: str, after: str) -> None:
    text = f"int first(void) {{ }}\n{before}\n{conditional.format(branch, branch)}\n{after}\nint last(void) {{ }}\n"
    assert [path for _, path, _, _ in rows(text, "c")] == ["first", "f", "last"]


def test_branches_that_stand_for_themselves_all_count() -> None:
    text = "#ifdef A\nint one(void) { return 1; }\n#else\nint two(void) { return 2; }\n#endif\n"
    assert [path for _, path, _, _ in rows(text, "c")] == ["one", "two"]


CONDITIONALS = ["#if DEBUG\n{}\n#else\n{}\n#endif", "#if DEBUG\n{}\n#elif X\n{}\n#endif"]


@pytest.mark.parametrize("conditional", CONDITIONALS)
@pytest.mark.parametrize(
    ("language", "text", "first", "second", "expected"),
    [
        ("csharp", "interface I\n{{\n{}\n  return 1;\n}}\n\nvoid Last();\n}}\n", "int Split()\n{{",
         "int Split(int a)\n{{",
         ["I", "I.Split", "I.Last"]),
        ("swift", "class C {{\n{}\n  run()\n}}\n\nfunc last() {{}}\n}}\n", "func split() {{", "func split(_ a: Int) {{",
         ["C", "C.split", "C.last"]),
    ],
)  # fmt: skip
def test_conditionals_of_other_languages(
    conditional: str, language: str, text: str, first: str, second: str, expected: list[str]
) -> None:
    if language == "swift":
        conditional = conditional.replace("#elif", "#elseif")
    branches = conditional.format(first.format(), second.format())
    assert [path for _, path, _, _ in rows(text.format(branches), language)] == expected


@pytest.mark.parametrize("sign", "+-")
def test_methods_in_both_branches_are_methods(sign: str) -> None:
    branches = CONDITIONALS[0].format(*(f"{sign} (id)make{name} {{\n  return nil;\n}}" for name in "AB"))
    found = rows(f"@implementation C\n{branches}\n- (void)last {{\n}}\n@end\n", "objc")
    assert [path for _, path, _, _ in found] == ["C", "C.makeA", "C.makeB", "C.last"]


@pytest.mark.parametrize("above", ["#define RUN(x) do { x; } while (0)", "#if defined(X)", "FOO(a)", "int x = f(1)"])
@pytest.mark.parametrize("name", ["TEST(A, B)", "TEST_F(A, B)", "TYPED_TEST(A, B)"])
def test_a_line_that_ends_with_a_parenthesis_hides_no_test_below_it(above: str, name: str) -> None:
    end = "\n#endif" if above.startswith("#if") else ""
    assert ("test", "A.B", 2, 4) in rows(f"{above}\n{name} {{\n  run();\n}}{end}\n", "cpp")


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_each_member_of_a_group_has_its_own_lines(order: tuple[int, ...]) -> None:
    members = ["A struct{ X int }", "B = map[string]int", "C interface{ Do() }", "D int"]
    lines = [members[at] for at in order]
    found = {
        path: (start, end) for _, path, start, end in rows("package a\ntype (\n" + "\n".join(lines) + "\n)\n", "go")
    }
    for at, line in enumerate(lines, 3):
        assert found[line[0]] == (at, at), line
    assert {"A.X", "C.Do"} < found.keys()


def test_names_of_lua_and_sql_in_quotes_and_brackets() -> None:
    lua = 'local M = {}\nlocal e, f = function() end, 1\nM["quoted name"] = function() end\n'
    assert [path for _, path, _, _ in rows(lua, "lua")] == ["M", "e", "quoted name"]
    sql = (
        "CREATE PROCEDURE [dbo].[Do It Now] @x int AS BEGIN SELECT 1 END\nGO\n"
        "CREATE OR ALTER TRIGGER [dbo].[tr 1] ON x AFTER INSERT AS BEGIN SELECT 1 END\n"
    )
    assert [path for _, path, _, _ in rows(sql, "sql")] == ["dbo.Do It Now", "dbo.tr 1"]


def test_masking_moves_nothing() -> None:
    pieces = [
        "class X_API A : B {",
        "#ifdef X",
        "#else",
        "#endif",
        "}",
        "(",
        ")",
        "ä = 'ü';",
        "Q_OBJECT",
        "",
        "FOO(a) int f(int b);",
    ]
    spec = spec_of("cpp")
    for seed in range(300):
        drawn = random.Random(seed).choices(pieces, k=30)
        raw = "\n".join(drawn).encode()
        hidden = masked(raw, spec.blanks, preprocessed=True)
        assert len(hidden) == len(raw), seed
        assert [at for at, byte in enumerate(hidden) if byte == 10] == [
            at for at, byte in enumerate(raw) if byte == 10
        ], seed
        assert all(new in (old, 32) for old, new in zip(raw, hidden, strict=True)), seed


@pytest.mark.parametrize("word", ["if", "for", "while", "switch", "return", "sizeof", "struct"])
def test_a_keyword_is_no_name(word: str) -> None:
    text = f"int f(void) {{\n#ifdef X\n}} {word} (a) {{\n}}\n"
    for language in ("c", "cpp", "objc"):
        assert word not in [path for _, path, _, _ in rows(text, language)]


@pytest.mark.parametrize("above", [0, 1, 7])
@pytest.mark.parametrize(
    ("language", "frame"),
    [
        ("vue", "<template><b/></template>\n{}<script>\n{}\n</script>\n"),
        ("svelte", "{}<script>\n{}\n</script>\n<b/>\n"),
        ("html", "<p>ä</p>\n{}<script>\n{}\n</script>\n"),
        ("markdown", "# A\n{}```js\n{}\n```\n"),
        ("astro", "{}---\n{}\n---\n<b/>\n"),
        ("php", "<?php f(); ?>\n{}<script>\n{}\n</script>\n"),
        ("erb", "<% x %>\n{}<script>\n{}\n</script>\n"),
        ("restructuredtext", "A\n=\n\n{}.. code-block:: js\n\n{}\n"),
    ],
)
def test_pieces_of_other_languages_keep_their_lines(language: str, frame: str, above: int) -> None:
    if language == "astro" and above:
        pytest.skip("its front matter is the beginning of the file")
    code = "   function one() {\n     return 1\n   }\n\n   const two = () => 2"
    text = frame.format("\n" * above, code)
    first = text[: text.index("function one")].count("\n") + 1
    found = {
        path.rpartition(".")[2]: (start, end) for kind, path, start, end in rows(text, language) if kind == "function"
    }
    assert found == {"one": (first, first + 2), "two": (first + 4, first + 4)}


def notebook(indent: int | None, source: str | list[str], picture: str = "") -> str:
    output = {"data": {"image/png": picture, "text/plain": ["def shown(): pass"]}, "output_type": "display_data"}
    cell = {"cell_type": "code", "metadata": {}, "outputs": [output], "source": source}
    return json.dumps(
        {"cells": [cell], "metadata": {"kernelspec": {"language": "python"}}, "nbformat": 4}, indent=indent
    )


@pytest.mark.parametrize("indent", [None, 1, 4])
@pytest.mark.parametrize("as_lines", [True, False])
def test_sources_of_notebooks_count_and_outputs_do_not(indent: int | None, as_lines: bool) -> None:
    source = ["%time\n", "def load(path):\n", '\treturn "\\n"\n', "class Survey: pass"]
    text = notebook(indent, source if as_lines else "".join(source))
    result = chunked(text, "notebook")
    lines = text.split("\n")
    assert [symbol.path for symbol in result.symbols] == ["load", "Survey"]
    assert all(symbol.name in lines[symbol.start_line - 1] for symbol in result.symbols)
    words = "\n".join(chunk.text for chunk in result.chunks)
    assert "def load" in words and "shown" not in words and "output_type" not in words


def test_the_limits_are_those_of_the_sources() -> None:
    large = notebook(1, ["def load(): pass\n"], "A" * 200_000)
    assert len(large) < largest_bytes("a/b.ipynb", 10_000) and largest_bytes("a/b.py", 10_000) == 10_000
    result = chunked(large, "notebook", max_file_bytes=10_000, max_line_bytes=100)
    assert (result.skip_reason, [symbol.path for symbol in result.symbols]) == ("", ["load"])
    assert chunked(notebook(1, ["x = 1\n"] * 5_000), "notebook", max_file_bytes=10_000).skip_reason == "too_large"


@pytest.mark.parametrize(
    "text", ["", "{}", "[", '{"cells": []}', '{"cells": [{"source": ["a]}', '"cells"', '{"cells": {"source": 1}}']
)
def test_what_is_no_notebook_is_text(text: str) -> None:
    notebook_of(text)
    assert chunked(text, "notebook").skip_reason == ""


@pytest.mark.parametrize("opened", ["#if A", "#if A {", "#if A\nint f(", "#if A\n'\"/*"])
def test_nested_conditionals_are_read_a_few_times_only(opened: str) -> None:
    source = f"{opened}\n" * 4_000 + "int last;\n" + "#endif\n" * 4_000
    began_s = time.process_time()
    found = masked(source.encode(), (), preprocessed=True)
    assert time.process_time() - began_s < 2.0
    assert len(found) == len(source) and found.count(b"\n") == source.count("\n") and b"int last;" in found


def test_no_output_and_no_damage_makes_a_notebook_slow() -> None:
    head = '{"cells": [{"cell_type": "code", "source": ["def load(): pass\\n"], "outputs": ['
    odd = [
        "[" * 60_000 + '"a",' * 60_000 + "1" + "]" * 60_000,
        "[\n" * 100_000 + "]\n" * 100_000,
        '"' + "A" * 5_000_000 + '"',
        *(sign + '\\"' * 100_000 + end for sign in ('"', "") for end in ("", "\\", "\\\n", "\n")),
    ]
    for number, output in enumerate(odd):
        began_s = time.process_time()
        found = notebook_of(f"{head}{output}]}}]}}")
        assert time.process_time() - began_s < 2.0, number
        assert found is not None and found.cells[0].text() == "def load(): pass"


def test_cells_in_one_row_are_read_in_one_pass() -> None:
    line = "x" * 100
    began_s = time.process_time()
    found = notebook_of('{"cells": [{"source": ["", ' + f'"{line}\\n", "", ' * 10_000 + '"y"]}]}')
    assert time.process_time() - began_s < 2.0
    assert found is not None and found.lines == ["  ".join([line, ""] * 10_000 + ["y"])]


def test_a_parser_returns_from_the_end_of_an_open_string() -> None:
    assert chunked(">1'}\"_\n?_b#\tba?\\", "perl").skip_reason == ""
