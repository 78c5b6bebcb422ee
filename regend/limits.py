"""The largest numbers that a question may ask for: one place for the wire, the search and the command line.

Imports nothing, because `regenctl` starts with it.
"""

MAX_RESULTS = 1_000
"""Maximum `k`."""
MAX_OFFSET = 1_000
"""Maximum results before a page."""
MAX_CONTEXT_LINES = 1_000
"""Maximum lines of the file around a snippet, on either side."""
MIN_BUDGET_TOKENS = 50
"""Minimum `budget`; 0 stands for no budget."""
MAX_BUDGET_TOKENS = 200_000
"""Maximum `budget`."""
