"""Subtypes are found where they are declared, in every language, and uses of the supertype are no declaration."""

from __future__ import annotations

import time

import pytest

from regend.search.legs.subtypes import declaring_lines
from tests.search.conftest import Corpus
from tests.search.test_literal import found

DECLARED = {
    "python": (
        "class A(Base):\n    pass",
        "class A(mixins.Other, pkg.Base, metaclass=M):",
        "class A(\n    Other,\n    Base,\n):",
        "class A(Base[int]):",
        "class A[T](Base):",
        "    class A(Base): pass",
    ),
    "java": (
        "public class A extends Base {",
        "class A<T extends Other> extends Base<T> implements B {",
        "interface A extends Base, B {",
        "public final class A\n    extends Other\n    implements B, Base {",
        "enum A implements Base {",
        "@Json(a = 1) record A(int x) implements Base {",
        "abstract class A extends\n    Base {",
        "class A implements Other,\n    Base {",
    ),
    "typescript": (
        "export default class A extends Base<X> {",
        "export interface A extends Base {",
        "const A = class extends Base {",
        "export class A<T = any> implements Other<T>, ns.Base {",
    ),
    "javascript": (
        "class A extends Base {}",
        "const A = Base.extend({",
        "util.inherits(A, Base);",
        "A.prototype = Object.create(Base.prototype)",
    ),
    "php": (
        "final class A extends Base",
        "class A extends \\App\\Base implements B {",
        "class A implements \\Countable, Base\n{",
        "    use HasX, Base;",
    ),
    "dart": (
        "class A extends Base {",
        "abstract class A<T> extends O with M implements Base<T> {",
        "mixin A on Base {",
    ),
    "scala": (
        "class A(x: Int) extends Base(x)",
        "case class A(x: Base) extends Other with Base",
        "object A extends Base {",
        "trait A\n  extends B\n  with Base",
    ),
    "cpp": (
        "class A : public Base {",
        "struct A final : private B, virtual public ns::Base<int> {",
        "class EXPORT A: public Base\n{",
        "template <typename T>\nclass A\n    : public B<T>\n    , public Base\n{",
        "class ns::A : Base {",
    ),
    "csharp": (
        "public sealed class A : Base",
        "public class A<T> : Other<T>, Base where T : new()\n{",
        "interface A : Base { }",
        "record A(int X) : Base(X);",
    ),
    "kotlin": (
        "class A(val x: Int) : Base(x), B",
        "object A : Base {",
        "sealed interface A : Base",
        "enum class A(val x: Int) : Base {",
        "class A(\n    val x: X,\n) : B by x,\n    Base",
    ),
    "swift": (
        "struct A: Base {",
        "final class A<T>: Other, Base where T: X {",
        "extension A: Base {",
        "enum A: String, Base {",
        "extension A : @unchecked Base {",
    ),
    "objc": ("@interface A : Base", "@interface A : Other <Base>", "@interface A () <X, Base>", "@protocol A <Base>"),
    "ruby": ("class A < Base", "class A::B < X::Base", "A = Class.new(Base)", "  include Base", "class A < ::Base"),
    "rust": (
        "impl Base for A {",
        "impl<T: X> pkg::Base<T> for A<T> {",
        "pub trait A: Send + Base {",
        "#[derive(Debug, Base)]\nstruct A;",
        "unsafe impl Base for &A {",
        "impl<'a, T> Base for A<'a, T>\nwhere",
    ),
    "haskell": (
        "instance Base A where",
        "instance (Show a, X b) => Base (A a b) where",
        "newtype A = A Int deriving newtype (Show, Base)",
        "class Base m => A m where",
        "deriving instance Base A",
        "  deriving (Eq, Base)",
    ),
    "go": (
        "var _ Base = (*A)(nil)",
        "var _ pkg.Base = &A{}",
        "type A struct {\n\tx int\n\t*pkg.Base\n}",
        "type A interface {\n\tBase\n\tRun()\n}",
    ),
    "elixir": ("  @behaviour Base", "defimpl Base, for: A do", "  use My.Base, x: 1"),
    "erlang": ("-behaviour(base).", "-behavior( base )."),
    "perl": (
        "use parent 'Base';",
        "use base qw(Other My::Base);",
        "extends 'Base';",
        "our @ISA = ('Base');",
        "with 'X', 'Base';",
    ),
    "clojure": (
        "(defrecord A [x]\n  Base\n  (run [_] 1))",
        "(deftype A [x] X (go [_] (f (g 1))) Base",
        "(extend-type A\n  p/Base",
        "(reify Base",
        "(extend-protocol Base",
    ),
    "julia": ("struct A <: Base", "abstract type A{T} <: Base{T} end"),
    "ocaml": ("module A : Base = struct", "  include Base", "    inherit base"),
    "solidity": ("contract A is Base {", "abstract contract A is Other(1), Base {"),
    "pascal": ("  TA = class(TOther, Base)", "  TA = class abstract(Base)"),
    "fsharp": ("    inherit Base(x)", "    interface Base with"),
    "vb": ("    Inherits Base", "    Implements IOther, Base"),
    "nim": ("  A* = ref object of Base",),
    "lua": ("local A = Base:extend()",),
    "r": (
        'A <- R6::R6Class("A",\n  inherit = Base,',
        'setClass("A", representation(x = "numeric"), contains = "Base")',
    ),
    "graphql": ("type A implements Other & Base {",),
    "crystal": ("class A < Base(Int32)",),
    "matlab": ("classdef A < handle & Base",),
    "commonlisp": ("(defclass a (other base)",),
    "fortran": ("type, extends(Base) :: a",),
    "ada": ("type A is new Base with private;",),
    "d": ("class A : Other, Base {",),
    "powershell": ("class A : Base {",),
    "groovy": ("class A extends Base {",),
}
USED = {
    "python": (
        "class Base:",
        "class A(Other):\n    x = Base()",
        "class A(List[Base]):",
        "class A(metaclass=Base):",
        "x = Base(1)",
        "class A(BaseTask):",
        "class A(Base.Inner):",
        "# class A(Base)",
        "class A(make(Base)):",
        "class A(My_Base): pass",
    ),
    "java": (
        "class Base {",
        "class A { Base x; }",
        "class A extends Other<Base> {",
        "// class A extends Base",
        "class A<T extends Base> {",
        " * The class extends Base",
        "public Base run() {",
        "sealed class A extends B permits Base {",
        "class A { void f() throws Base {}}",
    ),
    "typescript": (
        "const x: Base = new Base()",
        "class A extends Other { base = Base }",
        'log("class A extends Base")',
        "function f<T extends Base>() {",
    ),
    "cpp": (
        "class A { Base b; };",
        "struct A x = y ? z : Base;",
        "class Base;",
        "class A : public Other<Base> {",
        "A::A() : Base(1) {}",
    ),
    "csharp": ("class A<T> : B where T : Base {", "Base x;"),
    "kotlin": (
        "class A(val x: Base)",
        "class A : Other()\n\nfun f(x: Int): Base = 1",
        "val x: Base",
        "data class A(\n    val x: Base,\n) : Other",
    ),
    "swift": (
        "class func f(x: Int) -> Base",
        "class var x: Base { y }",
        "struct A { let x: Base }",
        "struct A<T>: B where T: Base {",
    ),
    "objc": ("@interface A : Other\n\n@property (strong) Base *x;", "@interface Base ()", "- (Base *)x;"),
    "ruby": ("class Base < Other", "x < Base", "Base.new"),
    "rust": ("impl Base {", "fn f(x: impl Base) {", "impl<T: Base> X for A<T> {", "impl A for Base {"),
    "haskell": ("instance Base a => Other (A a) where", "f :: Base a => a -> a", "class Base a where"),
    "go": ("type A struct {\n\tx Base\n}", "var x Base = nil", "func f(b Base) {", "const (\n\tA = iota\n\tBase\n)"),
    "erlang": ("base:start_link().",),
    "elixir": ("alias My.Base", "Base.run()"),
    "perl": ("Base->new;", "use Base;"),
    "clojure": ("(defrecord A [x]\n  Other\n  (run [_] (Base.)))",),
}


def test_declarations_are_found_in_every_language() -> None:
    missed = [
        (language, text) for language, texts in DECLARED.items() for text in texts if not _is_found(language, text)
    ]
    assert missed == []


def test_uses_are_no_declarations() -> None:
    assert [(language, text) for language, texts in USED.items() for text in texts if _is_found(language, text)] == []


def _is_found(language: str, text: str) -> bool:
    name = "base" if "Base" not in text else "Base"
    around = "line one\n" + text + "\n\nlast line\n"
    return all(declaring_lines(around, language, spelling) for spelling in (name, name.lower()))


def test_a_qualified_name_is_that_one_or_its_own_part() -> None:
    for text, name, is_found in (
        ("class A(pkg.Base):", "pkg.Base", True),
        ("class A(Base):", "pkg.Base", True),
        ("class A(other.Base):", "pkg.Base", False),
        ("class A(other.Base):", "Base", True),
        ("class A(base):", "Base", False),
    ):
        assert bool(declaring_lines(text, "python", name)) == is_found, (text, name)


@pytest.mark.parametrize(
    "text",
    [
        "class A : ",
        "class A(",
        "class A<",
        "<" * 30,
        "(" * 50,
        "class A extends B, ",
        "class A\n",
        "type A struct { x\n",
    ],
)
def test_a_large_text_is_read_quickly(text: str) -> None:
    began_at = time.process_time()
    for language in DECLARED:
        declaring_lines((text * (8_000 // len(text))) + " Base", language, "Base")
    assert time.process_time() - began_at < 2.0


@pytest.fixture
def shapes(corpus: Corpus) -> Corpus:
    """Return one class, four that extend or implement it, and files that use it far more often."""
    used = "# subclasses of Shape, implementations of Shape: extends, implements, inherits Shape, RoundShape\n"
    files = [
        (f"src/use_{at}.py", f"{used}def use_{at}(shape: Shape):\n    x = Shape(Shape)\n" + used * 3, "python")
        for at in range(40)
    ]
    files += [
        ("src/shape.py", f"{used}class Shape:\n    def area(self):\n        return Shape\n", "python"),
        ("src/circle.py", "class Circle(Shape):\n    def area(self):\n        return 3\n\n    size = 1\n", "python"),
        ("src/drawn.py", "class Drawn(\n    Other,\n    Shape,\n):\n    def draw(self):\n        return 3\n", "python"),
        ("tests/test_shape.py", f"{used}class FakeShape(Shape):\n    def area(self):\n        return 1\n", "python"),
        ("src/round.py", "class Oval(RoundShape):\n    def area(self):\n        return 3\n\n    size = 1\n", "python"),
        ("src/Reader.java", "interface Reader {\n  int read();\n}\n", "java"),
        ("src/Files.java", "class Files extends X implements Reader {\n  int read() { return 1; }\n}\n", "java"),
        ("src/Uses.java", "class Uses {\n  Reader a; Reader b; Reader implementation(Reader r) { r; }\n}\n", "java"),
    ]
    corpus.fill(corpus.add_root("/repo"), files)
    return corpus


def test_subtypes_come_first_where_they_are_asked_for(shapes: Corpus) -> None:
    for text in (
        "subclasses of Shape",
        "who implements Shape",
        "shape subclasses",
        "classes that extend the shape class",
    ):
        assert set(found(shapes, text)[0][:2]) == {"src/circle.py", "src/drawn.py"}, text
        assert found(shapes, text)[0][2] == "tests/test_shape.py", text
    assert found(shapes, "implementations of round shape")[0][0] == "src/round.py"
    for text in ("implementation of Reader", "where is Reader implemented", "Reader implementations"):
        assert found(shapes, text)[0][0] == "src/Files.java", text
    for text in ("implementation of Shape", "superclass of Shape", "what does Shape extend", "base class of Shape"):
        assert found(shapes, text)[0][0] == "src/shape.py", text


def test_what_nothing_extends_is_searched_for_by_words(shapes: Corpus) -> None:
    assert found(shapes, "subclasses of Circle")[0][0] == "src/circle.py"
