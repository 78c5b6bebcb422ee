"""Limits and values of requests, for the messages, the daemon that checks them, the search and the clients.

It imports nothing.
"""

MAX_RESULTS = 1_000
"""Maximum `k`."""
DEFAULT_RESULTS = 10
"""Value of `k` if a request has neither `k` nor `budget`."""
MAX_OFFSET = 1_000
"""Maximum `offset`."""
MAX_CONTEXT_LINES = 1_000
"""Maximum `context`."""
SNIPPET_LINES = 12
"""Maximum lines of a snippet if a request does not say how many."""
MAX_PLACES = 64
"""Maximum items of `under`, and of `globs`."""
MIN_BUDGET_TOKENS = 50
"""Minimum `budget`, unless it is 0."""
MAX_BUDGET_TOKENS = 200_000
"""Maximum `budget`."""
MAX_OVERLAYS = 64
"""Maximum unsaved files in one request."""
MAX_LISTED = 10_000
"""Maximum files in one page of `files`."""
MAX_WAIT_S = 3_600.0
"""Maximum time that `flush`, `sync` or `verify` may be asked to wait."""
KINDS = frozenset({
    "block", "class", "constant", "constructor", "element", "enum", "extension", "field", "function", "impl", "index",
    "interface", "key", "macro", "method", "module", "object", "protocol", "rule", "section", "struct", "table",
    "test", "trait", "type", "union", "variable", "window",
})  # fmt: skip
"""Kinds of definitions in any language, and of chunks without one."""
MIN_TUNE_FILES = 100
"""Minimum files that `regenctl tune` measures with. In fewer the order of stages makes no difference."""
MODES = ("sequential", "parallel", "pipeline")
"""Values of `mode`."""
