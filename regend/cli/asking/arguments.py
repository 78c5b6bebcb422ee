"""The arguments of the commands that ask: search, symbols, related, outline."""

from __future__ import annotations

import re

from regend import limits
from regend.cli.argument import arg, number

_COUNT = number(int, "results", 1, limits.MAX_RESULTS)
_LINES = number(int, "lines", 0, limits.MAX_CONTEXT_LINES)
_SKIPPED = number(int, "results", 0, limits.MAX_OFFSET)
_TOKENS = number(int, "tokens", limits.MIN_BUDGET_TOKENS, limits.MAX_BUDGET_TOKENS)
_EXCLUSION = re.compile(r"-(?:(?:lang|path|kind|root):.+|(?!k\d)[^\W\d]\w{2,})", re.DOTALL)
"""Exclusion in a query, see docs/queries.md; our own options with one dash have one letter."""

_K = arg("-k", type=_COUNT, metavar="N", help=f"maximum number of results (1 to {limits.MAX_RESULTS})")
_ROOT = arg("--root", metavar="DIR", complete="directory", help="only this root")
_PATH = arg("--path", metavar="GLOB", help="only paths that match, such as 'src/**/*.py'")
_LANG = arg("--lang", metavar="NAME", help="only this language, such as python")
_CONTEXT = arg("--context", type=_LINES, metavar="N", help="lines of the file to show before and after each snippet")
_OFFSET = arg("--offset", type=_SKIPPED, metavar="N", help="skip the first N results, to see the next page")
_BUDGET = arg(
    "--budget", type=_TOKENS, metavar="TOKENS", help="pack the best passages into this many tokens, file by file"
)
_OVERLAY = arg(
    "--overlay", action="append", metavar="FILE=COPY", complete="file",
    help="search the unsaved text in COPY (- is standard input) instead of FILE",
)  # fmt: skip

SEARCH = (
    arg("query", nargs="+", metavar="QUERY", help="words, an identifier, or a question"),
    _K, _ROOT, _PATH, _LANG,
    arg("--sync", action="store_true", help="include every write that finished before this command"),
    arg("--explain", action="store_true", help="show what each ranking feature and each stage contributed"),
    arg("--files", action="store_true", help="one result per file, ranked as a whole"),
    _CONTEXT, _OFFSET, _BUDGET, _OVERLAY,
)  # fmt: skip
SYMBOLS = (
    arg("name", metavar="NAME", help="a name, or a dotted end of a qualified name"), _K, _ROOT, _PATH, _LANG,
)  # fmt: skip
RELATED = (
    arg("place", metavar="FILE[:LINE]", complete="file", help="a file, or a line in it"),
    _K, _ROOT, _PATH, _LANG, _CONTEXT, _OFFSET, _BUDGET, _OVERLAY,
)  # fmt: skip
OUTLINE = (arg("file", metavar="FILE", complete="file"),)


def guarded(words: list[str]) -> list[str]:
    """Return the words of a search so that argparse takes no exclusion (`-path:tests/**`, `-mock`) for an option."""
    return [f" {word}" if _EXCLUSION.fullmatch(word) else word for word in words]
