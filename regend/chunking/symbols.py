"""Definitions in a syntax tree: what they are called, what kind they are, which lines they take.

tree-sitter finds the nodes with the query of the language's data file, in C; Python touches only the matches. Nothing
here recurses, and no node is turned into text as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

from tree_sitter import Node, Query, QueryCursor, Tree

from regend.chunking.grammars import LanguageSpec, grammar_of, spec_of
from regend.chunking.tokens import MAX_NAME_CHARS, normalised
from regend.types import Symbol

MAX_SYMBOLS = 5_000
"""Per file; more means that a machine wrote it."""
MAX_DEPTH = 64
SCOPE = "scope"
ROLES = frozenset({"body", "declarator", "in", "leading", "level", "name", "part", "text", "title", "until", "words"})
"""Captures that do not name a kind; see `LanguageSpec.query`."""
FUNCTIONS = frozenset({"function", "method", "macro", "test", "constructor"})
TYPES = frozenset(("class", "interface", "struct", "trait", "enum", "impl", "object", "extension", "protocol"))
_BETWEEN_WORDS = re.compile(r"(?<=\w)\0(?=\w)")
_OPEN = 1 << 62
"""Where what lasts until the next of its type ends."""
_ADORNMENT_CHARS = 7
_MARKUP = re.compile(
    r"`+([^`]*)`+|!?\[([^\]\[]*)\](?:\([^()]*\)|\[[^\]]*\])|\*{1,3}(\S[^*]*)\*{1,3}|</?\w[^<>]*>|\s*\{#[^{}]*\}\s*$|\s+#+\s*$"
)
"""Markup of a title; the groups are what is read of it."""
_OPERATOR = re.compile(r"\boperator(?!\w)(.*)", re.DOTALL)
MATCH_LIMIT = 1_000
"""Matches that a query may begin at once: repeated parts of a pattern would begin one for each of their choices."""
_QUOTED = re.compile(r"([\"'`])[^\"'`]*\1")
_INNER_SIGN = re.compile(r"([.:\\])")
_QUOTES = "\"'`"
_MAX_READ_BYTES = 4 * MAX_NAME_CHARS
_WORD = re.compile(rb"\S+")
_Captures = dict[str, list[Node]]
_Match = tuple[int, int, Node, str, _Captures]


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
def query_of(language: str) -> Query | None:
    """Compile the patterns of a language: its query, then its plain definitions, then what may lead one."""
    spec = spec_of(language)
    grammar = grammar_of(spec.grammar)
    wanted = [spec.query, *(f"({node} name: (_) @name) @{kind}" for node, kind in spec.definitions.items())]
    leading = [f"({node}) @leading" for node in spec.leading if grammar.id_for_node_kind(node, True) is not None]
    return Query(grammar, "\n".join(wanted + leading)) if any(wanted) else None


def definitions_in(tree: Tree, language: str) -> list[Definition]:
    """Return all named definitions in order of their start, enclosing ones before those inside."""
    query = query_of(language)
    if query is None:
        return []
    spec = spec_of(language)
    leading: set[int] = set()
    bodies: list[tuple[int, int]] = []
    best: dict[int, int] = {}
    matches: dict[int, _Match] = {}
    for index, caught in QueryCursor(query, match_limit=MATCH_LIMIT).matches(tree.root_node):
        kind = next((capture for capture in caught if capture not in ROLES and capture[0] != "_"), None)
        if kind is None:
            leading.update(row for node in caught.get("leading", ()) for row in _own_rows(node))
            bodies.extend((node.start_byte, node.end_byte) for node in caught.get("body", ()))
            continue
        node = caught[kind][0]
        if index < best.get(node.id, 1 << 30):  # The first of the patterns that match decides.
            best[node.id] = index
            matches[node.id] = (node.start_byte, -node.end_byte, node, kind, caught)
    result: list[Definition] = []
    stack: list[tuple[int, Definition]] = []
    levels: dict[int, int] = {}
    adornments = list(spec.levels)
    last_row = _last_row(tree.root_node)
    bodies.sort(reverse=True)
    within: list[int] = []
    for (start, end, node, kind, captures), word in sorted(_by_word(matches.values()), key=lambda found: found[0][:2]):
        while stack and stack[-1][0] <= start:
            stack.pop()
        while bodies and bodies[-1][0] <= start:
            body_end = bodies.pop()[1]
            while within and within[-1] < body_end:
                within.pop()
            within.append(body_end)
        while within and within[-1] <= start:
            within.pop()
        level = _level(captures["level"], adornments) if "level" in captures else 0
        is_open = node.type in spec.open
        if level or (is_open and not _has_block(node)):
            while stack and stack[-1][0] == _OPEN and levels[id(stack[-1][1])] >= level:
                stack.pop()[1].end_row = node.start_point[0] - 1
            end = -_OPEN
        if len(result) >= MAX_SYMBOLS or len(stack) >= (spec.max_depth or MAX_DEPTH):
            continue
        if not (parts := [word] if word else _parts(node, captures, spec)):
            continue
        outer = stack[-1][1] if stack and (level or not is_open) else None  # The name of a package is whole.
        if node.type in spec.promoted:
            outer = stack[-2][1] if len(stack) > 1 and stack[-1][1].kind in FUNCTIONS else outer
            if outer is None or outer.kind not in TYPES:
                continue
        elif (kind in spec.local or node.type in spec.local) and (
            any(d.kind in FUNCTIONS for _, d in stack) or _in_body(within, stack)
        ):
            continue
        if kind == "function" and outer and outer.kind in TYPES:
            kind = "method"
        begins, ends = _extent(node, spec)
        definition = _definition((begins, ends), parts, kind, outer, len(stack), leading)
        if end == -_OPEN:
            levels[id(definition)] = level
            definition.end_row = max(last_row, definition.start_row)
        elif ends is not node:
            end = min(end, -ends.end_byte)
        stack.append((-end, definition))
        result.append(definition)
    return _joined(result, spec.joined) if spec.joined else result


def _by_word(matches: Iterable[_Match]) -> Iterator[tuple[_Match, str]]:
    """Yield each match; one whose name is a list of words once for each word, with the word and its place."""
    for match in matches:
        nodes = match[4].get("words")
        if not nodes:
            yield match, ""
            continue
        for word in _WORD.finditer((nodes[0].text or b"")[:_MAX_READ_BYTES]):
            start, end = (nodes[0].start_byte + at for at in word.span())
            yield (start, -end, *match[2:]), word[0].decode("utf-8", "replace")


def _in_body(within: list[int], stack: list[tuple[int, Definition]]) -> bool:
    """Tell whether a function without a name lies between a definition and the type around it."""
    return bool(within) and within[-1] <= next((end for end, d in reversed(stack) if d.kind in TYPES), _OPEN)


def _has_block(node: Node) -> bool:
    """Tell whether a block ends what a node begins."""
    return node.child_by_field_name("body") is not None or any(c.type == "block" for c in node.named_children)


def _last_row(root: Node) -> int:
    row, column = root.end_point
    return row if column or not row else row - 1


def _level(marks: list[Node], adornments: list[str]) -> int:
    """Return the level of a heading: the length of its mark, or the place of its adornment among those so far."""
    text = _text(marks[0]).strip()
    adornment = text[:1] * len(marks)
    if adornment == "#" and "#" not in adornments and len(text) < _ADORNMENT_CHARS:
        return len(text)
    if adornment not in adornments:
        adornments.append(adornment)
    return adornments.index(adornment) + 1


def _extent(node: Node, spec: LanguageSpec) -> tuple[Node, Node]:
    """Return the nodes with which a definition begins and ends."""
    if spec.wrappers:
        while (around := node.parent) is not None and around.type in spec.wrappers and _holds_one(around, node, spec):
            node = around
    if spec.tails:
        tail = node.next_named_sibling
        if tail is not None and tail.type in spec.tails:
            return node, tail
    return node, node


def _definition(
    extent: tuple[Node, Node], parts: list[str], kind: str, outer: Definition | None, depth: int, leading: set[int]
) -> Definition:
    path = ".".join((outer.path, *parts) if outer else parts)
    start_row = extent[0].start_point[0]
    end_row, end_column = extent[1].end_point
    if end_column == 0 and end_row > start_row:
        end_row -= 1  # The node ends with the line before.
    first_row = start_row
    floor = outer.start_row if outer else -1
    while first_row - 1 > floor and first_row - 1 in leading:
        first_row -= 1
    is_scope = kind == SCOPE
    kind = "impl" if is_scope else kind
    return Definition(normalised(parts[-1]), normalised(path), kind, first_row, start_row, end_row, depth, is_scope)


def _holds_one(wrapper: Node, node: Node, spec: LanguageSpec) -> bool:
    """Tell whether a wrapper holds no other definition; where it holds several, each has its own lines."""
    if wrapper.named_child_count < 2:
        return True
    return sum(child.type == node.type or child.type in spec.definitions for child in wrapper.named_children) < 2


def _own_rows(node: Node) -> range:
    """Return the rows that a comment or attribute has for itself: no rows if it stands behind code."""
    start, column = node.start_point
    before = node.prev_sibling if column else None  # It is looked for from the first of all siblings on.
    if before is not None and before.end_point[0] == start and before.end_point[1] > 0:
        return range(0)
    end = node.end_point[0] if node.end_point[1] > 0 else node.end_point[0] - 1
    return range(start, end + 1)


def _joined(definitions: list[Definition], kinds: tuple[str, ...]) -> list[Definition]:
    """Join adjacent definitions of one name: the equations of a function, and its signature."""
    result: list[Definition] = []
    for definition in definitions:
        last = result[-1] if result else None
        if (
            last is not None
            and (last.path, last.kind, last.depth) == (definition.path, definition.kind, definition.depth)
            and definition.kind in kinds
            and definition.first_row <= last.end_row + 1
        ):
            last.end_row = max(last.end_row, definition.end_row)
        else:
            result.append(definition)
    return result


# -- names -------------------------------------------------------------------------------------------------------------


def _parts(node: Node, captures: _Captures, spec: LanguageSpec) -> list[str]:
    """Return the parts of a definition's name, the qualifiers before it first; no parts if it has no name."""
    if nodes := captures.get("name"):
        parts = [part for child in nodes for part in split_name(_text(child), spec.separator)]
    elif nodes := captures.get("declarator"):
        parts = split_name(_declared(nodes[0]), spec.separator)
    elif nodes := captures.get("title"):
        parts = [text] if (text := _plain(_MARKUP.sub(r"\1\2\3", _text(nodes[0])))) else []
    elif nodes := captures.get("text"):
        parts = [text for child in nodes if (text := _plain(_text(child)))]
    elif nodes := captures.get("part"):
        joined = _BETWEEN_WORDS.sub(" ", "\0".join(map(_text, nodes))).replace("\0", "")
        parts = [" ".join(joined.split())[:MAX_NAME_CHARS]]
    elif nodes := captures.get("until"):
        length = nodes[0].start_byte - node.start_byte
        raw = (node.text or b"")[: min(length, _MAX_READ_BYTES)]
        parts = [text] if (text := _plain(raw.decode("utf-8", "replace"))) else []
    else:
        parts = []
    if not parts or parts[-1] in spec.reserved:
        return []
    if spec.trimmed:
        parts = [re.sub(spec.trimmed, "", part) or part for part in parts]
    if nodes := captures.get("in"):
        parts[:0] = [part for child in nodes for part in split_name(_text(child), spec.separator)]
    return parts


def split_name(text: str, separator: re.Pattern[str]) -> list[str]:
    """Split a name at what qualifies it: ``a::b`` into a and b; quoted and backticked parts lose their quotes.

    Signs belong to the name (``<<``, ``empty?``, ``name=``, ``->Thing``), and so do spaces within it.
    """
    if text.isidentifier():
        return [text[:MAX_NAME_CHARS]]
    text = " ".join(text.split())
    if any(quote in text for quote in _QUOTES):
        text = _QUOTED.sub(lambda quoted: _INNER_SIGN.sub(r"\1\0", quoted[0]), text)
    parts = [_unquoted(part.replace("\0", "").strip()) for part in separator.split(text)]
    return [part[:MAX_NAME_CHARS] for part in parts if part]


def _unquoted(text: str) -> str:
    if len(text) > 2 and ((text[0] == text[-1] and text[0] in _QUOTES) or text[0] + text[-1] == "[]"):
        return text[1:-1].strip()
    return text


def _plain(text: str) -> str:
    """Return a title, a selector or a string as one name: without quotes, in one line."""
    text = " ".join(text.split())
    return _unquoted(text)[:MAX_NAME_CHARS].strip()


def _declared(node: Node) -> str:
    """Go down the declarators of C, C++ and Objective-C to the name.

    Template arguments of what encloses the name are left out.
    """
    for _ in range(MAX_DEPTH):
        if node.type == "operator_cast":
            break
        following = node.child_by_field_name("declarator")
        if following is None:
            following = next((c for c in node.named_children if c.type.endswith("declarator")), None)
        if following is None:
            break
        node = following
    if node.type in ("parenthesized_declarator", "reference_declarator") and node.named_child_count == 1:
        node = node.named_children[0]  # As in ``int (puts)(const char *)``, which no macro replaces, and ``int &name``.
    if node.type in ("identifier", "field_identifier", "type_identifier"):
        return _text(node)
    text = _text(node)
    if operator := _OPERATOR.search(text):
        sign = " ".join(operator[1].partition("(")[0].split()) or "()"
        space = " " if sign[0].isalpha() or sign[0] == "_" else ""
        return f"{_without_arguments(text[: operator.start()])}operator{space}{sign}"
    return _without_arguments(text.partition("(")[0])


def _without_arguments(text: str) -> str:
    """Return the text without what stands between angle brackets."""
    while "<" in text:
        shorter = re.sub(r"<[^<>]*>", "", text)
        if shorter == text:
            break
        text = shorter
    return text


def _text(node: Node) -> str:
    """Return the node's source; for names and keys only, never for whole definitions."""
    raw = node.text or b""
    return raw[:_MAX_READ_BYTES].decode("utf-8", "replace")
