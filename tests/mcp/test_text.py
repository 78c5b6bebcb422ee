"""Answers as text: places, freshness, and no more tokens than the agent asked for."""

from __future__ import annotations

import msgspec
import pytest

from regend.chunking.tokens import estimate_tokens
from regend.mcp import text
from tests.rpc.scripted import ROOT, Script


def root(complete: bool, pending: int = 0, path: str = ROOT) -> dict[str, object]:
    return {"path": path, "complete": complete, "pending": pending, "files_indexed": 1_200}


@pytest.mark.parametrize(
    ("roots", "unsynced", "line"),
    [
        ([root(True)], False, "[/src/app: complete]"),
        ([root(True)], True, "[/src/app: complete; edits of the last moments may be missing]"),
        ([root(False, 3)], False, "[/src/app: NOT complete: 1,200 files read, 3 paths waiting]"),
        ([root(False)], False, "[/src/app: complete by words, vectors are still computed]"),
        (
            [root(True), root(False, 1, "/b"), root(True, 0, "/c"), root(True, 0, "/d")],
            False,
            "[/src/app, /b, /c and 1 more: NOT complete: 1,200 files read, 1 path waiting]",
        ),
    ],
)
def test_the_first_line_says_what_was_searched(roots: list[dict[str, object]], unsynced: bool, line: str) -> None:
    assert text.freshness(roots, unsynced) == line


async def test_passages_have_places_and_code() -> None:
    from regend.rpc.query_messages import SearchRequest

    answer = msgspec.to_builtins(await Script().on_search(None, SearchRequest("x", budget=500)))  # type: ignore[arg-type]
    assert text.passages(answer, one_root=True) == [
        "core/debounce.py:10-12  Debouncer.push",
        "def push(self, path, now):",
        "    due = now + self.quiet_s",
        "    self._due[path] = due",
        "15:     self.push(path)",
        "core/debounce.py:20-21  Debouncer.pop",
        "def pop(self):",
        "    return self._due.popitem()",
        "(same text in 7 other places: old/x.py:10, /src/lib/y.py:10)",
        "",
    ]
    assert text.passages(answer, one_root=False)[0] == "/src/app/core/debounce.py:10-12  Debouncer.push"


def test_lists_end_where_the_budget_ends() -> None:
    lines = [f"file{n}.py:{n}-{n + 1}  function name_{n}" for n in range(500)]
    kept = list(text.within(lines, 300))
    assert kept[-1] == f"… {501 - len(kept)} more lines; ask for less, or with a larger `budget` or `k`."
    assert kept[:-1] == lines[: len(kept) - 1]
    assert sum(map(text.tokens_of, kept[:-1])) <= 300
    assert list(text.within(lines, 100_000)) == lines


def test_tokens_are_counted_as_the_daemon_counts_them() -> None:
    for words in ("", " ", "def f(x):\n    return x\n", "ü" * 100):
        assert text.tokens_of(words) == estimate_tokens(words)
