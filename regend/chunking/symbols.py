"""Definitions in a syntax tree: what they are called, what kind they are, which lines they take.

tree-sitter finds the nodes with a query, in C; Python touches only the matches. Nothing here recurses, and no node is
turned into text as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from tree_sitter import Node, Query, QueryCursor, Tree

from regend.chunking.grammars import LanguageSpec, grammar_of, spec_of
from regend.chunking.tokens import normalised
from regend.types import Symbol

MAX_SYMBOLS = 5_000
"""Per file; more means that a machine wrote it."""
MAX_NAME_CHARS = 200
MAX_DEPTH = 64
_FUNCTIONS = frozenset({"function", "method", "macro", "test", "constructor"})
_TYPES = frozenset(("class", "interface", "struct", "trait", "enum", "impl", "object", "extension", "protocol"))
_SEARCHED_NODES = 64
_IDENTIFIER = re.compile(r"[^\s(){}\[\]<>,;=]+")


@dataclass(slots=True)
class Definition:
    """A definition and where it lies; rows count from 0, both ends included.

    Attributes:
        first_row: with its leading comments, decorators and attributes.
        start_row: of the definition proper.
    """

    name: str
    path: str
    kind: str
    first_row: int
    start_row: int
    end_row: int
    depth: int
    scope_only: bool = False

    def symbol(self) -> Symbol:
        return Symbol(self.name, self.path, self.kind, self.start_row + 1, self.end_row + 1)


@cache
def _query(language: str) -> Query | None:
    """Compile the query that captures `d` (definitions and scopes) and `c` (nodes that may lead one)."""
    spec = spec_of(language)
    grammar = grammar_of(spec.grammar)
    wanted = " ".join(f"({node}) @d" for node in (*spec.definitions, *spec.scopes))
    leading = " ".join(f"({node}) @c" for node in spec.leading if grammar.id_for_node_kind(node, True) is not None)
    return Query(grammar, f"{wanted} {leading}") if wanted else None


def definitions_in(tree: Tree, language: str) -> list[Definition]:
    """Return all named definitions in order of their start, enclosing ones before those inside."""
    query = _query(language)
    if query is None:
        return []
    spec = spec_of(language)
    captures = QueryCursor(query).captures(tree.root_node)
    leading = {row for node in captures.get("c", ()) for row in _own_rows(node)}
    nodes = sorted(captures.get("d", ()), key=lambda node: (node.start_byte, -node.end_byte))
    result: list[Definition] = []
    stack: list[tuple[int, Definition]] = []
    for node in nodes:
        while stack and stack[-1][0] <= node.start_byte:
            stack.pop()
        if len(result) >= MAX_SYMBOLS or len(stack) >= (spec.max_depth or MAX_DEPTH):
            continue
        named = _name(node, spec)
        if not named:
            continue
        name, kind = named
        kind = kind or spec.definitions.get(node.type, "impl")
        outer = [d for _, d in stack]
        if kind in spec.local and any(d.kind in _FUNCTIONS for d in outer):
            continue
        if kind == "function" and outer and outer[-1].kind in _TYPES:
            kind = "method"
        definition = _definition(node, name, kind, outer, spec, leading)
        stack.append((node.end_byte, definition))
        result.append(definition)
    return _joined(result)


def _definition(
    inner: Node, name: str, kind: str, outer: list[Definition], spec: LanguageSpec, leading: set[int]
) -> Definition:
    rule = spec.qualifiers.get(inner.type)
    qualifier = _apply(rule, inner) if rule else None
    path = ".".join(filter(None, (outer[-1].path if outer else None, qualifier, name)))
    node = inner
    while node.parent is not None and node.parent.type in spec.wrappers:
        node = node.parent
    start_row = node.start_point[0]
    tail = node.next_named_sibling
    if tail is not None and tail.type in spec.tails:
        node = tail
    end_row, end_column = node.end_point
    if end_column == 0 and end_row > start_row:
        end_row -= 1  # The node ends with the line before.
    first_row = start_row
    floor = outer[-1].start_row if outer else -1
    while first_row - 1 > floor and first_row - 1 in leading:
        first_row -= 1
    bare = name.rpartition(".")[2] or name
    bare, path = normalised(bare), normalised(path)
    return Definition(bare, path, kind, first_row, start_row, end_row, len(outer), inner.type in spec.scopes)


def _own_rows(node: Node) -> range:
    """Return the rows that a comment or attribute has for itself: no rows if it stands behind code."""
    before = node.prev_sibling
    start = node.start_point[0]
    if before is not None and before.end_point[0] == start and before.end_point[1] > 0:
        return range(0)
    end = node.end_point[0] if node.end_point[1] > 0 else node.end_point[0] - 1
    return range(start, end + 1)


def _joined(definitions: list[Definition]) -> list[Definition]:
    """Join adjacent equations of one function (Haskell), and a signature with its function."""
    result: list[Definition] = []
    for definition in definitions:
        last = result[-1] if result else None
        if (
            last is not None
            and (last.path, last.kind, last.depth) == (definition.path, definition.kind, definition.depth)
            and definition.kind == "function"
            and definition.first_row <= last.end_row + 1
        ):
            last.end_row = max(last.end_row, definition.end_row)
        else:
            result.append(definition)
    return result


# -- names -------------------------------------------------------------------------------------------------------------


def _name(node: Node, spec: LanguageSpec) -> tuple[str, str] | None:
    """Find the definition's name and, where the rule knows better, its kind."""
    rule = spec.names.get(node.type, "field:name")
    if rule in _OWN_KIND:
        return _OWN_KIND[rule](node)
    if node.type in spec.needs_body and node.child_by_field_name("body") is None:
        return None  # A use of the type, not its definition.
    name = _apply(rule, node)
    return (name, "") if name else None


def _apply(rule: str, node: Node) -> str | None:
    kind, _, argument = rule.partition(":")
    return NAME_RULES[kind](node, argument)


def _field(node: Node, argument: str) -> str | None:
    """Follow `field:a|b`: return the text of the first of these fields that is there."""
    child = _either(node, *argument.split("|"))
    return _clean(child) if child is not None else None


def _first(node: Node, argument: str) -> str | None:
    """Follow `first:t1|t2`: find the first node of one of these types, breadth first, in the node's beginning."""
    types = set(argument.split("|"))
    queue = list(node.named_children[:_SEARCHED_NODES])
    for child in queue:
        if child.type in types:
            return _clean(child)
        if len(queue) < _SEARCHED_NODES:
            queue.extend(child.named_children[:8])
    return None


def _declarator(node: Node, argument: str) -> str | None:
    """Go down the `declarator` fields to the name (C and C++)."""
    child = node
    for _ in range(MAX_DEPTH):
        following = child.child_by_field_name("declarator")
        if following is None and child is not node:
            following = next((c for c in child.named_children if c.type.endswith("declarator")), None)
        if following is None:
            break
        child = following
    return None if child is node else _clean(child)


def _line(node: Node, argument: str) -> str | None:
    """Return the node's first line, without markup at its ends."""
    text = _text(node).splitlines()
    return text[0].partition("{")[0].strip("#= \t*-_'\"`:") if text else None


def _heading(node: Node, argument: str) -> str | None:
    """Return the heading's text of a Markdown section."""
    for child in node.named_children[:2]:
        if child.type in ("atx_heading", "setext_heading"):
            return _line(child, "")
    return None


def _id(node: Node, argument: str) -> str | None:
    """Return the `id` attribute of an HTML element; an element without it is not a definition."""
    if not node.named_children:
        return None
    for attribute in node.named_children[0].named_children:
        if attribute.type == "attribute" and len(attribute.named_children) > 1:
            name, value = attribute.named_children[:2]
            if _text(name) == "id":
                return _text(value).strip("\"'")
    return None


def _key(node: Node, argument: str) -> str | None:
    """Return a key of JSON, YAML or TOML."""
    child = node.child_by_field_name("key") or (node.named_children[0] if node.named_children else None)
    return _text(child).strip("\"' ") if child is not None else None


def _receiver(node: Node, argument: str) -> str | None:
    """Return the receiver type of a Go method."""
    receiver = node.child_by_field_name("receiver")
    return _first(receiver, "type_identifier") if receiver is not None else None


def _labels(node: Node, argument: str) -> str | None:
    """Return the type and labels of an HCL block, such as ``resource.aws_instance.web``."""
    labels = [c for c in node.named_children[:4] if c.type in ("identifier", "string_lit")]
    return ".".join(_text(label).strip('"') for label in labels) or None


NAME_RULES: dict[str, Callable[[Node, str], str | None]] = {
    "field": _field,
    "first": _first,
    "declarator": _declarator,
    "line": _line,
    "heading": _heading,
    "id": _id,
    "key": _key,
    "receiver": _receiver,
    "labels": _labels,
}
"""Rules by name, as data files use them."""

_ELIXIR = {
    "def": "function", "defp": "function", "defmacro": "macro", "defmacrop": "macro", "defguard": "function",
    "defdelegate": "function", "defmodule": "module", "defprotocol": "interface", "defimpl": "module",
    "defstruct": "struct", "test": "test", "describe": "test",
}  # fmt: skip


def _elixir(node: Node) -> tuple[str, str] | None:
    target = node.child_by_field_name("target")
    kind = _ELIXIR.get(_text(target)) if target is not None and target.type == "identifier" else None
    arguments = next((c for c in node.named_children if c.type == "arguments"), None)
    if kind is None or arguments is None or not arguments.named_children:
        return None
    head = arguments.named_children[0]
    if head.type == "binary_operator" and head.named_children:
        head = head.named_children[0]  # `def f(x) when guard`.
    if head.type == "call":
        head = head.child_by_field_name("target") or head
    name = _clean(head)
    return (name, kind) if name else None


def _assigned(node: Node) -> tuple[str, str] | None:
    """Read an assignment of JavaScript and its like: `const f = () => …` is a function, other names are variables."""
    name, value = _either(node, "name", "key", "left", "lhs"), _either(node, "value", "right", "rhs")
    if name is None or name.type in ("object_pattern", "array_pattern"):
        return None
    text = _clean(name)
    if not text:
        return None
    if value is not None and ("function" in value.type or value.type == "arrow_function"):
        return text, "function"
    if value is not None and value.type == "class":
        return text, "class"
    return (text, "") if node.type == "variable_declarator" else None


def _zig(node: Node) -> tuple[str, str] | None:
    """Tell apart `fn`, `const S = struct {…}` and other constants, which are one kind of node in Zig."""
    name = _first(node, "IDENTIFIER")
    inner = node.named_children[0] if node.named_children else None
    if not name or inner is None:
        return None
    if inner.type == "FnProto":
        return name, "function"
    value = _text(node).partition("=")[2].split()
    for word in value[:2]:
        kind = word.partition("(")[0].partition("{")[0]
        if kind in ("struct", "enum", "union"):
            return name, kind
    return name, "constant"


def _either(node: Node, *names: str) -> Node | None:
    return next((child for name in names if (child := node.child_by_field_name(name)) is not None), None)


def _lua(node: Node) -> tuple[str, str] | None:
    """Take `M.f = function …` for a function, and no other assignment (Lua)."""
    if len(node.named_children) != 2:
        return None
    names, values = node.named_children
    if not names.named_children or not values.named_children or values.named_children[0].type != "function_definition":
        return None
    name = _clean(names.named_children[0])
    return (name, "function") if name else None


def _called(node: Node) -> tuple[str, str] | None:
    """Take `f(x) = …` for a function, and no other assignment (Julia)."""
    left = node.named_children[0] if node.named_children else None
    if left is None or left.type != "call_expression":
        return None
    name = _first(node, "identifier|field_expression")
    return (name, "function") if name else None


_LISP = {
    "defn": "function", "defn-": "function", "defmacro": "macro", "def": "constant", "defonce": "constant",
    "defmulti": "function", "defmethod": "function", "defprotocol": "interface", "defrecord": "struct",
    "deftype": "struct", "deftest": "test", "ns": "module",
}  # fmt: skip


def _lisp(node: Node) -> tuple[str, str] | None:
    """Read a list whose first word defines its second (Clojure)."""
    if len(node.named_children) < 2:
        return None
    kind = _LISP.get(_text(node.named_children[0]))
    name = _clean(node.named_children[1]) if kind else None
    return (name, kind) if name and kind else None


_OWN_KIND: dict[str, Callable[[Node], tuple[str, str] | None]] = {
    "assigned": _assigned,
    "called": _called,
    "elixir": _elixir,
    "lisp": _lisp,
    "lua": _lua,
    "zig": _zig,
}
"""Rules that also decide the kind."""


def _text(node: Node) -> str:
    """Return the node's source; for names and keys only, never for whole definitions."""
    raw = node.text or b""
    return raw[: 4 * MAX_NAME_CHARS].decode("utf-8", "replace")


def _clean(node: Node) -> str | None:
    """Write a name as one dotted word: `A::b`, `M:f` and `a.b` become ``A.b``, ``M.f`` and ``a.b``."""
    text = _text(node).strip().replace("::", ".").replace("->", ".")
    if ":" in text.strip(":"):
        text = text.strip(":").replace(":", ".")
    text = text.strip("\"'`*& \t")
    match = _IDENTIFIER.match(text)
    return match.group()[:MAX_NAME_CHARS].strip(".") if match else None
