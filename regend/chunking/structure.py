"""The definitions of a file: from its syntax tree, from what is embedded in it, and from its lines."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import cache

from tree_sitter import Node, Parser, Query, QueryCursor, Range, Tree

from regend.chunking.detection import detect_language
from regend.chunking.grammars import grammar_of, language_names, parser_of, spec_of
from regend.chunking.lines import definitions_by_line, has_line_rules
from regend.chunking.masking import masked
from regend.chunking.notebooks import Notebook
from regend.chunking.symbols import MATCH_LIMIT, Definition, definitions_in

_PARSE_STEP = 1 << 16
_NAME_STEP = 256
_MOST_STRAY = 20_000
"""Signs that may be left over in one piece that the parser did not understand. From each of them a query looks to the
end of all: 100,000 brackets would take it 15 s, in which nothing can call it off."""
_MAX_PARTS = 500
"""Maximum pieces of other languages that are parsed in a file."""
_TAGS = {"shell": "bash", "console": "bash", "golang": "go", "c++": "cpp", "c#": "csharp", "node": "javascript"}
_SETTING, _TOGETHER = "language", "together"
"""Settings of patterns under `embedded`: the language unless the file says another; whether all pieces are one text."""


def structure_of(text: str, language: str, timeout_s: float) -> list[Definition] | None:
    """Return all definitions of a file in order, enclosing ones before those inside; None if parsing takes too long."""
    spec = spec_of(language)
    if not spec.grammar:
        return definitions_by_line(text, language)
    deadline = time.monotonic() + timeout_s
    tree = parsed(text, language, timeout_s)
    if tree is None:
        return None
    definitions = definitions_in(tree, language)
    if has_line_rules(language):
        pieces = _unclear(tree.root_node)
        unclear = {row for piece in pieces for row in range(piece.start_point[0], piece.end_point[0] + 1)}
        found = definitions_by_line(text, language, unclear)
        known = {(definition.start_row, definition.name) for definition in definitions}
        extra = [definition for definition in found if (definition.start_row, definition.name) not in known]
        definitions = _placed(definitions, extra, qualified=True)
    if spec.embedded:
        inner = _embedded(text.encode("utf-8", "surrogatepass"), tree.root_node, language, deadline, 0)
        definitions = _placed(definitions, inner, qualified=False)
    return definitions


def structure_of_notebook(notebook: Notebook, timeout_s: float) -> list[Definition]:
    """Return the definitions in the cells of a notebook, in the rows of the file."""
    deadline = time.monotonic() + timeout_s
    languages = {"code": language_of_tag(notebook.language), "markdown": "markdown"}
    result: list[Definition] = []
    for cell in notebook.cells:
        language = languages.get(cell.kind, "")
        left_s = deadline - time.monotonic()
        if not language or left_s <= 0:
            continue
        for definition in structure_of(cell.text(), language, left_s) or ():
            first, start, end = definition.first_row, definition.start_row, definition.end_row
            definition.first_row, definition.start_row = cell.rows[first], cell.rows[start]
            definition.end_row = cell.rows[min(end, len(cell.rows) - 1)]
            result.append(definition)
    return result


def _placed(definitions: list[Definition], extra: list[Definition], *, qualified: bool) -> list[Definition]:
    """Put further definitions among those of the file, each into what encloses it."""
    if not extra:
        return definitions
    added = set(map(id, extra))
    stack: list[Definition] = []
    result = sorted(definitions + extra, key=lambda definition: definition.start_row)
    for definition in result:
        while stack and stack[-1].end_row < definition.start_row:
            stack.pop()
        if id(definition) not in added:
            stack.append(definition)
            continue
        around = [outer for outer in stack if outer.end_row >= definition.end_row]
        if around:
            definition.depth += around[-1].depth + 1
            if qualified and not definition.path.startswith(around[-1].path + "."):
                definition.path = f"{around[-1].path}.{definition.path}"
    return result


def _unclear(root: Node) -> Iterator[Node]:
    """Yield the pieces that the parser did not understand."""
    work = [root] if root.has_error else []
    while work:
        node = work.pop()
        if node.is_error:
            yield node
        else:
            work.extend(child for child in node.children if child.has_error)


def parsed(text: str, language: str, timeout_s: float) -> Tree | None:
    """Return the syntax tree, or None when parsing it or asking it for definitions takes too long."""
    spec = spec_of(language)
    raw = text.encode("utf-8", "surrogatepass")
    if not raw.endswith(b"\n"):
        raw += b"\n"  # The scanner of Perl's grammar never returns from a backslash at the end.
    if spec.blanks or spec.preprocessed:
        raw = masked(raw, spec.blanks, preprocessed=spec.preprocessed)
    return _parsed(raw, parser_of(spec.grammar), time.monotonic() + timeout_s)


def _parsed(raw: bytes, parser: Parser, deadline: float) -> Tree | None:
    whole = memoryview(raw)
    lent: dict[int, memoryview] = {}
    parsing = True

    def read(at: int, _point: object) -> bytes | memoryview:
        if not parsing:
            return raw[at : at + _NAME_STEP]  # A node's text is asked for, mostly a name.
        if at >= len(raw):
            return b""
        part = lent.get(at)
        if part is None:
            part = lent[at] = whole[at : at + _PARSE_STEP]
        return part

    def overdue(_at: int, _has_error: bool) -> bool:
        return time.monotonic() > deadline

    try:
        tree = parser.parse(read, progress_callback=overdue)
        stray = (piece.child_count - piece.named_child_count for piece in _unclear(tree.root_node))
        return None if any(count > _MOST_STRAY for count in stray) else tree
    except ValueError:  # How a parse that was called off ends.
        parser.reset()
        return None
    finally:
        parsing = False
        # tree-sitter 0.26 forgets to let go of what it was given: of copies, hundreds of megabytes for a Scala file. A
        # view takes 184 bytes even so; hence each place is lent once.
        for part in lent.values():
            part.release()


# -- other languages inside --------------------------------------------------------------------------------------------


@cache
def _embedded_query(language: str) -> Query:
    spec = spec_of(language)
    return Query(grammar_of(spec.grammar), spec.embedded)


def _embedded(raw: bytes, root: Node, language: str, deadline: float, depth: int) -> list[Definition]:
    """Return the definitions in the pieces of other languages; those of a piece may hold pieces themselves."""
    spec = spec_of(language)
    query = _embedded_query(language)
    together: dict[str, list[Node]] = {}
    pieces: list[tuple[str, list[Node]]] = []
    for index, captures in QueryCursor(query, match_limit=MATCH_LIMIT).matches(root):
        if "content" not in captures:
            continue
        settings = query.pattern_settings(index)
        tags = captures.get("language", ())
        tag = (tags[0].text or b"").decode("utf-8", "replace") if tags else settings.get(_SETTING) or ""
        inner = language_of_tag(tag)
        if not inner or inner == spec.name or len(pieces) >= _MAX_PARTS:
            continue
        if _TOGETHER in settings:
            together.setdefault(inner, []).extend(captures["content"])
        else:
            pieces.append((inner, captures["content"]))
    result: list[Definition] = []
    seen: set[int] = set()
    for inner, nodes in [*pieces, *together.items()]:
        fresh = [node for node in nodes if node.start_byte not in seen and node.end_byte > node.start_byte]
        seen.update(node.start_byte for node in fresh)
        if fresh and time.monotonic() < deadline:
            result += _inside(raw, inner, fresh, deadline, deeper=not depth)
    return sorted(result, key=lambda definition: (definition.start_row, definition.depth))


def _inside(raw: bytes, language: str, nodes: list[Node], deadline: float, *, deeper: bool) -> list[Definition]:
    """Parse pieces of a file in another language; lines and columns stay those of the file."""
    parser = Parser(grammar_of(spec_of(language).grammar))
    nodes = sorted(nodes, key=lambda node: node.start_byte)
    parser.included_ranges = [Range(node.start_point, node.end_point, node.start_byte, node.end_byte) for node in nodes]
    tree = _parsed(raw, parser, deadline)
    if tree is None:
        return []
    definitions = definitions_in(tree, language)
    if deeper and spec_of(language).embedded:
        definitions = _placed(definitions, _embedded(raw, tree.root_node, language, deadline, 1), qualified=False)
    return definitions


def language_of_tag(tag: str) -> str:
    """Return the language that the mark of a piece names (``ts``, ``language-js``), if its grammar is there."""
    word = tag.strip().strip("\"'{}.").lower().removeprefix("language-")
    word = word.replace("{", " ").replace(",", " ").split()[0] if word.split() else ""
    word = word.rpartition("/")[2]  # `type="text/babel"`.
    name = _TAGS.get(word, word)
    if name not in language_names():
        name = detect_language(f"name.{name}") if name else ""
    return name if spec_of(name).grammar else ""
