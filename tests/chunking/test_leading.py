"""A definition begins with what stands directly above it: comments, documentation, attributes, signatures."""

from __future__ import annotations

import pytest

from regend.chunking.structure import structure_of

CASES = [
    ("elixir", 'defmodule A do\n  @doc """\n  Adds.\n  """\n  @spec it(a) :: a\n  # More.\n  def it(a), do: a\nend'),
    ("elixir", "defmodule A do\n  # doc\n  @impl true\n  @deprecated \"x\"\n  defmacro it(a), do: a\nend"),
    ("elixir", 'defmodule A do\n  @typedoc "Of it."\n  @type it :: atom\nend'),
    ("elixir", 'defmodule A do\n  @doc "Of it."\n  @callback it(a) :: a\nend'),
    ("elixir", "defmodule A do\n  # doc\n  @tag :slow\n  test \"it\" do\n  end\nend"),
    ("erlang", '-doc "Adds.".\n-doc #{since => "1"}.\n-spec it(integer()) -> integer().\n%% More.\nit(X) -> X.'),
    ("erlang", '-doc """\nAdds.\n""".\n-type it() :: atom().'),
    ("dart", "class A {\n  /// doc\n  @override\n  void it() {}\n}"),
    ("dart", "/// doc\n@pragma('vm')\n@A()\nvoid it() {}"),
    ("dart", "class A {\n  // doc\n  @JsonKey()\n  final int it = 1;\n}"),
    ("julia", '"""\n    it(x)  doc\n"""\nfunction it(x) end'),
    ("julia", 'module M\n"doc"\nit(x) = 1\nend'),
    ("julia", 'struct T\n  "doc"\n  it::Int\nend'),
    ("typescript", "class A {\n  /** doc */\n  @Get()\n  it() {}\n}"),
    ("tsx", "class A {\n  // doc\n  @Get()\n  @Put()\n  it() {}\n}"),
    ("haskell", "-- doc\nit :: Int\n{-# INLINE it #-}\nit = 1"),
    ("ruby", "class A\n  # doc\n  sig { returns(Integer) }\n  def it; end\nend"),
    ("ruby", "# More.\ndesc 'doc'\ntask :it do\nend"),
    ("bicep", "// doc\n@minLength(3)\nparam it string"),
    ("gleam", "/// doc\n@external(erlang, \"a\", \"b\")\npub fn it() -> Int"),
    ("nim", "## doc\nproc it() = discard"),
    ("nim", "##[ doc\n]##\nproc it() = discard"),
    ("nim", "#[ doc\n]#\nproc it() = discard"),
    ("wgsl", "// doc\n@vertex\nfn it() {}"),
    ("wgsl", "/* doc */\nstruct it { a: f32 }"),
    ("prisma", "/// doc\nmodel it {\n  id Int @id\n}"),
    ("objc", "/// doc\n__attribute__((objc_subclassing_restricted))\n@interface it : NSObject\n@end"),
    ("cython", "# doc\n@cython.boundscheck(False)\ncdef int it(): pass"),
    ("groovy", "class A {\n  /** doc */\n  @Test\n  @Unroll('x')\n  void it() {}\n}"),
    ("crystal", "# doc\n@[AlwaysInline]\ndef it\nend"),
    ("vb", "''' doc\n<Obsolete(\"x\")>\nPublic Sub it()\nEnd Sub"),
    ("python", "# doc\n@a\n@b(1)\ndef it(): pass"),
    ("java", "class A {\n  /** doc */\n  @B\n  @C(\"x\")\n  void it() {}\n}"),
    ("kotlin", "/** doc */\n@A\n@B\nfun it() {}"),
    ("csharp", "class A {\n  /// doc\n  [B]\n  [C]\n  void it() {}\n}"),
    ("rust", "/// doc\n#[a]\n// More.\n#[b(c)]\npub fn it() {}"),
    ("php", "<?php\n/** doc */\n#[A]\nfunction it() {}"),
    ("swift", "/// doc\n@objc\n@available(iOS 1, *)\nfunc it() {}"),
    ("scala", "/** doc */\n@a\nclass it"),
    ("cpp", "/// doc\ntemplate <class T>\n[[nodiscard]]\nint it() { return 1; }"),
    ("fsharp", "/// doc\n[<A>]\nlet it x = x"),
    ("ocaml", "(** doc *)\nlet it x = x\n[@@inline]"),
    ("r", "#' doc\n#' @export\nit <- function(x) x"),
    ("clojure", ";; doc\n(defn it [x] x)"),
    ("perl", "=head2 it\n\ndoc\n\n=cut\nsub it { }"),
]  # fmt: skip


@pytest.mark.parametrize(("language", "text"), CASES)
def test_what_stands_above_belongs_to_a_definition(language: str, text: str) -> None:
    lines = text.split("\n")
    definition = next(d for d in structure_of(text, language, 10.0) or () if d.name == "it")
    container = {"class A", "module M", "defmodule A", "struct T", "<?php"}
    first = 1 if any(lines[0].startswith(start) for start in container) else 0
    assert definition.first_row == first
    assert "it" in "\n".join(lines[definition.start_row : definition.end_row + 1])


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("elixir", "defmodule A do\n  @timeout 5\n  def it, do: @timeout\nend"),
        ("elixir", 'defmodule A do\n  @doc "x"\n\n  def it, do: 1\nend'),
        ("julia", 'f("""\na\n""")\nit() = 1'),
        ("julia", 'a = """\nb\n"""\nit() = 1'),
        ("ruby", "class A\n  attr_reader :b\n  def it; end\nend"),
        ("crystal", "@a = 1\ndef it\nend"),
        ("groovy", "class A {\n  int a\n  void it() {}\n}"),
    ],
)
def test_nothing_else_belongs_to_it(language: str, text: str) -> None:
    definition = next(d for d in structure_of(text, language, 10.0) or () if d.name == "it")
    assert definition.first_row == definition.start_row
