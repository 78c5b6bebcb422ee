"""Symbols of each language: kind, qualified path, first and last line."""

from __future__ import annotations

import pytest

from regend.chunking.chunker import chunk_content
from regend.config import LimitConfig
from regend.types import UNSURE

Row = tuple[str, str, int, int]

CASES: dict[str, tuple[str, list[Row]]] = {
    "python": (
        '# top\nimport a\n\n@dec\ndef f(x):\n    """Doc."""\n    y = 1\n\nclass A:\n    def m(self): pass\n'
        "    async def n(self):\n        def inner(): pass\n",
        [
            ("function", "f", 4, 7), ("class", "A", 9, 12), ("method", "A.m", 10, 10), ("method", "A.n", 11, 12),
            ("function", "A.n.inner", 12, 12),
        ],
    ),
    "javascript": (
        "const f = () => {}\nexport class A { m() {} }\nmodule.exports.g = function () {}\nfunction h() {\n  return 1\n}\n",
        [
            ("function", "f", 1, 1), ("class", "A", 2, 2), ("method", "A.m", 2, 2),
            ("function", "module.exports.g", 3, 3), ("function", "h", 4, 6),
        ],
    ),
    "typescript": (
        "export interface P { m(): void }\ntype T = string;\nenum E { A }\nexport abstract class C {\n  run(): void {}\n}\n",
        [
            ("interface", "P", 1, 1), ("type", "T", 2, 2), ("enum", "E", 3, 3), ("class", "C", 4, 6),
            ("method", "C.run", 5, 5),
        ],
    ),
    "tsx": (
        "export const X: FC = () => <a/>;\ninterface P { m: number }\n",
        [("function", "X", 1, 1), ("interface", "P", 2, 2)],
    ),
    "go": (
        "package a\n\n// Run runs.\nfunc (s *Server) Run(x int) {}\n\ntype Server struct {}\n\nfunc New() *Server { return nil }\n",
        [("method", "Server.Run", 4, 4), ("struct", "Server", 6, 6), ("function", "New", 8, 8)],
    ),
    "rust": (
        "/// doc\n#[derive(Debug)]\npub struct S { a: i32 }\nimpl S {\n  pub fn f(&self) {}\n}\nimpl Trait for S { fn g() {} }\n",
        [("struct", "S", 3, 3), ("method", "S.f", 5, 5), ("method", "S.g", 7, 7)],
    ),
    "java": (
        "/** d */\n@X class A {\n  A() {}\n  void m() {}\n}\ninterface I { void f(); }\n",
        [
            ("class", "A", 2, 5), ("constructor", "A.A", 3, 3), ("method", "A.m", 4, 4), ("interface", "I", 6, 6),
            ("method", "I.f", 6, 6),
        ],
    ),
    "c": (
        "int *f(int a) { return 0; }\nstruct S { int b; };\nstruct S *use(void) { return 0; }\n#define X 1\n",
        [("function", "f", 1, 1), ("struct", "S", 2, 2), ("function", "use", 3, 3), ("constant", "X", 4, 4)],
    ),
    "cpp": (
        "namespace n {\nclass A { int g() { return 1; } };\n}\nvoid n::A::f() {}\ntemplate<class T>\nT h(T x) { return x; }\n",
        [
            ("module", "n", 1, 3), ("class", "n.A", 2, 2), ("method", "n.A.g", 2, 2), ("function", "n.A.f", 4, 4),
            ("function", "h", 5, 6),
        ],
    ),
    "csharp": (
        "namespace N {\n  class A {\n    public A() {}\n    void M() {}\n  }\n}\n",
        [("module", "N", 1, 6), ("class", "N.A", 2, 5), ("constructor", "N.A.A", 3, 3), ("method", "N.A.M", 4, 4)],
    ),
    "ruby": (
        "module A\n  class B\n    # d\n    def f; end\n    def self.g; end\n  end\nend\n",
        [("module", "A", 1, 7), ("class", "A.B", 2, 6), ("method", "A.B.f", 4, 4), ("method", "A.B.g", 5, 5)],
    ),
    "php": (
        "<?php\nclass A {\n  function f() {}\n}\nfunction g() {}\n",
        [("class", "A", 2, 4), ("method", "A.f", 3, 3), ("function", "g", 5, 5)],
    ),
    "kotlin": (
        "class A {\n  fun b() {}\n}\nobject O\nfun top() {}\n",
        [("class", "A", 1, 3), ("method", "A.b", 2, 2), ("object", "O", 4, 4), ("function", "top", 5, 5)],
    ),
    "swift": (
        "class A {\n  func b() {}\n}\nprotocol P {}\nfunc top() {}\n",
        [("class", "A", 1, 3), ("method", "A.b", 2, 2), ("protocol", "P", 4, 4), ("function", "top", 5, 5)],
    ),
    "scala": (
        "object O {\n  def f(x: Int) = 1\n}\ntrait T\n",
        [("object", "O", 1, 3), ("method", "O.f", 2, 2), ("trait", "T", 4, 4)],
    ),
    "lua": (
        "local M = {}\nfunction M.f(x) end\nfunction M:g() end\nM.k = function() end\nlocal function h() end\n",
        [("function", "M.f", 2, 2), ("function", "M.g", 3, 3), ("function", "M.k", 4, 4), ("function", "h", 5, 5)],
    ),
    "bash": ("f() {\n  echo\n}\nfunction g { echo; }\n", [("function", "f", 1, 3), ("function", "g", 4, 4)]),
    "haskell": (
        "module M where\n-- | doc\nf :: Int -> Int\nf 0 = 1\nf x = x\n\ndata T = A | B\n",
        [("function", "f", 3, 5), ("type", "T", 7, 7)],
    ),
    "elixir": (
        "defmodule A.B do\n  def f(x), do: x\n  defp g do\n   1\n  end\nend\n",
        [("module", "A.B", 1, 6), ("function", "A.B.f", 2, 2), ("function", "A.B.g", 3, 5)],
    ),
    "zig": (
        'const S = struct { pub fn f() void {} };\nfn top() void {}\ntest "x" {}\n',
        [("struct", "S", 1, 1), ("method", "S.f", 1, 1), ("function", "top", 2, 2), ("test", "x", 3, 3)],
    ),
    "ocaml": (
        "let f x = 1\nmodule M = struct\n  let g = 2\nend\ntype t = A\n",
        [("function", "f", 1, 1), ("module", "M", 2, 4), ("function", "M.g", 3, 3), ("type", "t", 5, 5)],
    ),
    "julia": (
        "function f(x)\n  1\nend\ng(x) = 2\nstruct S end\n",
        [("function", "f", 1, 3), ("function", "g", 4, 4), ("struct", "S", 5, 5)],
    ),
    "sql": ("CREATE TABLE a.b (x int);\n", [("table", "a.b", 1, 1)]),
    "html": ('<div id="main">\n<p>x</p>\n</div>\n', [("element", "main", 1, 3)]),
    "css": (".a, .b { c: d }\n@media x {\n  .y { z: 1 }\n}\n", [("rule", ".a, .b", 1, 1), ("rule", "@media x", 2, 4)]),
    "markdown": (
        "# A\ntext\n## B\nmore\n# C\n", [("section", "A", 1, 4), ("section", "A.B", 3, 4), ("section", "C", 5, 5)]
    ),
    "toml": ("x = 1\n[a.b]\ny = 2\n", [("key", "x", 1, 1), ("section", "a.b", 2, 3), ("key", "a.b.y", 3, 3)]),
    "yaml": ("a:\n  b: 1\nd: 3\n", [("key", "a", 1, 2), ("key", "a.b", 2, 2), ("key", "d", 3, 3)]),
    "json": ('{\n"a": {"b": 1},\n"d": 2\n}\n', [("key", "a", 2, 2), ("key", "a.b", 2, 2), ("key", "d", 3, 3)]),
    "dart": (
        "/// d\nclass A {\n  void f() { p(1); }\n}\nvoid g() {\n  x();\n}\n",
        [("class", "A", 2, 4), ("method", "A.f", 3, 3), ("function", "g", 5, 7)],
    ),
    "perl": ("package Foo;\nsub bar { 1 }\n", [("module", "Foo", 1, 2), ("function", "Foo.bar", 2, 2)]),
    "r": ("f <- function(x) 1\n", [("function", "f", 1, 1)]),
    "clojure": ("(ns a.b)\n(defn foo [x] 1)\n", [("module", "a.b", 1, 1), ("function", "foo", 2, 2)]),
    "proto": (
        "message A { string x = 1; }\nservice S { rpc Do(A) returns (A); }\n",
        [("struct", "A", 1, 1), ("interface", "S", 2, 2), ("method", "S.Do", 2, 2)],
    ),
    "hcl": ('resource "aws_x" "y" {\n  a = 1\n}\n', [("section", "resource.aws_x.y", 1, 3)]),
}  # fmt: skip


@pytest.mark.parametrize("language", CASES)
def test_symbols(language: str) -> None:
    source, expected = CASES[language]
    result = chunk_content(source.encode(), language, UNSURE, LimitConfig())
    assert (result.skip_reason, result.degraded_reason) == ("", "")
    found = [(s.kind, s.path, s.start_line, s.end_line) for s in result.symbols]
    assert [row for row in found if row in expected] == expected, f"found {found}"
