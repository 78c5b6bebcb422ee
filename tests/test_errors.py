"""Messages have the right number: one file, two files."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from regend.errors import count_text

PACKAGE = Path(__file__).parents[1] / "regend"
_PLURAL = re.compile(r"^ (?:more |clients? |of )?([a-z]{3,}s)\b")
_VERBS = frozenset(
    [
        "accepts",
        "across",
        "answers",
        "begins",
        "belongs",
        "declares",
        "does",
        "exceeds",
        "excludes",
        "exists",
        "has",
        "holds",
        "ignores",
        "is",
        "its",
        "lacks",
        "marks",
        "leads",
        "lies",
        "listens",
        "makes",
        "matches",
        "names",
        "needs",
        "returned",
        "returns",
        "says",
        "sends",
        "serves",
        "takes",
        "this",
        "was",
        "works",
    ]
)
NEVER_ONE = {
    ("cli/asking/queries.py", "bytes"), ("cli/mcp.py", "lists"), ("cli/roots.py", "leaves"),
    ("cli/service_files.py", "lines"), ("cli/status_page.py", "batches"),
    ("daemon/handlers/asking.py", "overlays"), ("daemon/roots.py", "bytes"), ("disk/safe_read.py", "bytes"),
    ("embedding/remote/dialects.py", "vectors"), ("embedding/vocabulary.py", "buckets"),
    ("embedding/vocabulary.py", "words"), ("rpc/codec.py", "bytes"), ("rpc/codec.py", "elements"),
    ("rpc/listen.py", "bytes"), ("rpc/server.py", "clients"), ("rpc/server.py", "values"),
    ("search/engine.py", "tokens"), ("search/legs/globs.py", "characters"),
    ("search/query/filters.py", "filters"), ("search/query/parse.py", "characters"),
    ("search/query/parse.py", "texts"),
    ("sharing/connect.py", "refuses"), ("store/staging.py", "chunks"),
}  # fmt: skip
"""Plurals, by module, behind a number that cannot be 1: it is a limit, or above one. Or behind what is no number."""


def plurals(module: ast.AST) -> Iterator[str]:
    """Yield each plural that stands right behind a value in a text; a constant's name says that it is a limit."""
    for node in ast.walk(module):
        if not isinstance(node, ast.JoinedStr):
            continue
        for value, text in zip(node.values, node.values[1:], strict=False):
            if isinstance(value, ast.FormattedValue) and isinstance(text, ast.Constant):
                found = _PLURAL.match(str(text.value))
                if found and found[1] not in _VERBS and not ast.unparse(value.value).rpartition(".")[2].isupper():
                    yield found[1]


def test_a_count_agrees_with_its_noun() -> None:
    assert [count_text(n, "file") for n in (0, 1, 2, 1200)] == ["0 files", "1 file", "2 files", "1,200 files"]
    assert [count_text(n, "path is", "paths are") for n in (0, 1, 2)] == ["0 paths are", "1 path is", "2 paths are"]


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_message_has_a_plural_that_may_be_one(path: Path) -> None:
    module = str(path.relative_to(PACKAGE))
    found = {(module, plural) for plural in plurals(ast.parse(path.read_text()))}
    assert found - NEVER_ONE == set(), "use `count_text`, or say in `NEVER_ONE` why the number is never 1"


def test_each_exception_is_still_needed() -> None:
    found = {
        (module, plural) for module in {module for module, _ in NEVER_ONE}
        for plural in plurals(ast.parse((PACKAGE / module).read_text()))
    }  # fmt: skip
    assert NEVER_ONE - found == set()
