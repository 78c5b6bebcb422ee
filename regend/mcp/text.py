"""Answers as text: what was searched, how fresh it is, and places as ``path:first-last`` with their code.

Every function returns lines; nothing is asked of the daemon here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from regend.errors import count_text
from regend.limits import MIN_BUDGET_TOKENS

_HEADER_TOKENS = 50
"""Kept free of passages, for the lines about roots and freshness."""
_MAX_REASONS = 6
_MAX_ROOTS = 40


def tokens_of(text: str) -> int:
    """Estimate the tokens of a text; the formula is that of the daemon's budget (`estimate_tokens`)."""
    return (len(text) - text.count(" ")) * 2 // 7 + 1


def passage_budget(budget: int) -> int:
    """Return the tokens that passages may take of a budget for the whole answer, which is 100 tokens or more."""
    return max(MIN_BUDGET_TOKENS, budget - _HEADER_TOKENS)


def within(lines: Sequence[str], budget: int) -> Iterator[str]:
    """Yield lines until the budget is used up, and then how many were left out."""
    left = budget
    for number, line in enumerate(lines):
        left -= tokens_of(line)
        if left < 0:
            yield f"… {count_text(len(lines) - number, 'more line')}; ask for less, or with a larger `budget` or `k`."
            return
        yield line


def freshness(roots: Sequence[Mapping[str, Any]], unsynced: bool) -> str:
    """Say which roots were searched, and whether the answer can be relied on."""
    where = ", ".join(root["path"] for root in roots[:3]) + (f" and {len(roots) - 3} more" if len(roots) > 3 else "")
    behind = [root for root in roots if not root["complete"]]
    if not behind:
        state = "complete"
    else:
        pending = sum(root["pending"] for root in behind)
        read = sum(root["files_indexed"] for root in behind)
        state = (
            f"NOT complete: {count_text(read, 'file')} read, {count_text(pending, 'path')} waiting"
            if pending
            else "complete by words, vectors are still computed"
        )
    late = "; edits of the last moments may be missing" if unsynced else ""
    return f"[{where}: {state}{late}]"


def place(result: Mapping[str, Any], one_root: bool) -> str:
    """Return the path of a result: relative to the root if there is one only."""
    return str(result["path"]) if one_root else f"{result['root']}/{result['path']}"


def passages(answer: Mapping[str, Any], one_root: bool) -> list[str]:
    """Return the lines of a search's results, best first."""
    lines: list[str] = []
    for result in answer["results"]:
        where = place(result, one_root)
        lines += _passage(where, result)
        lines += [f"{match['line']}: {match['text']}" for match in result["matches"]]
        for further in result["also"]:
            lines += _passage(where, further)
        if result["copy_count"]:
            copies = [
                f"{place(copy, one_root and copy['root'] == result['root'])}:{copy['start_line']}"
                for copy in result["copies"][:3]
            ]
            named = ", ".join(copies)
            lines.append(f"(same text in {count_text(result['copy_count'], 'other place')}: {named})")
        lines.append("")
    return lines


def _passage(where: str, passage: Mapping[str, Any]) -> list[str]:
    code = passage["snippet"].split("\n") if passage["snippet"] else []
    first = passage["snippet_line"] if code else passage["start_line"]
    last = first + len(code) - 1 if code else passage["end_line"]
    symbol = f"  {passage['symbol']}" if passage["symbol"] else ""
    return [f"{where}:{first}-{last}{symbol}", *code]


def definitions(answer: Mapping[str, Any], one_root: bool) -> list[str]:
    """Return the lines of the definitions with a name."""
    return [
        f"{place(found, one_root)}:{found['start_line']}-{found['end_line']}  {found['kind']} {found['qualified']}"
        for found in answer["symbols"]
    ]


def outline(answer: Mapping[str, Any]) -> list[str]:
    """Return the lines of a file's definitions; those within another are indented."""
    lines = []
    enclosing: list[int] = []
    for symbol in answer["symbols"]:
        first, last = symbol["start_line"], symbol["end_line"]
        while enclosing and enclosing[-1] < first:
            enclosing.pop()
        lines.append(f"{first}-{last}  {'  ' * len(enclosing)}{symbol['kind']} {symbol['name']}")
        enclosing.append(last)
    return lines


def roots(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the lines about each root: its state, counts, and what is skipped."""
    lines = []
    for root in found[:_MAX_ROOTS]:
        done = "complete" if root["complete"] else f"{count_text(root['pending'], 'path')} waiting"
        lines.append(
            f"{root['path']}  {root['state']}, {done}, generation {root['generation']}, "
            f"{count_text(root['files_indexed'], 'file')} and {count_text(root['chunks'], 'chunk')} indexed"
        )
        if root["reason"]:
            lines.append(f"  {root['reason']}")
        skipped = sorted(root["skipped_by_reason"].items(), key=lambda item: -item[1])[:_MAX_REASONS]
        if skipped:
            lines.append(f"  skipped: {', '.join(f'{count} {reason}' for reason, count in skipped)}")
    if len(found) > _MAX_ROOTS:
        lines.append(f"… and {len(found) - _MAX_ROOTS} more")
    return lines
