"""Questions that tests answer: ``tests for the parser``, `where are retries tested`. Pure.

Code has all their words, and tests are no answer to most questions. So a question counts only by how it is asked.
"""

from __future__ import annotations

import re

_KIND = "acceptance|e2e|end-to-end|functional|integration|regression|unit"
_TESTS = rf"(?:(?:(?:{_KIND})[ -])?(?:tests|test[ -](?:cases?|suites?))|(?:{_KIND})[ -]test)"
_ASKING = "a|all|an|any|are|existing|find|is|list|me|our|see|show|some|the|there|what|where|which"
_RELATION = r"(?:cover(?:s|ing)?|exercis(?:e|es|ing)|for|of|that (?:cover|exercise|test)s?)\s"
_FIRST_OF_A_CHANGE = re.sub(
    r"\s+", "|",
    """a add added adding adjust all allow an any avoid better bump change clean cleanup correct delete disable do don't
    drop enable ensure extend extra failing fix fixed fixes fixing flaky for further get how ignore improve in increase
    introduce make mark merge more move new no only our port prevent reduce refactor remove rename reorganise repair
    replace restore revert rewrite run running set simplify skip some speed split start stop test tests the tidy to try
    tweak update updated use write""",
)  # fmt: skip
"""First words of what is done to tests, which are no name of what they test."""
_ASKED = re.compile(
    rf"(?:(?:{_ASKING})\s+)*(?:{_TESTS}|specs)\s+{_RELATION}.+"
    rf"|(?:(?:{_ASKING})\s+)+test\s+{_RELATION}.+|test of\s.+"
    r"|(?:are|how|is|what|where|which)\s.+\stested\W*"
    rf"|(?:(?:{_ASKING})\s+)*(?!(?:{_ASKING}|{_KIND}|{_FIRST_OF_A_CHANGE})\b)(?:\S+\s+){{1,3}}{_TESTS}\W*"
)
"""`add tests for retries` is what a commit does, and mostly to code. `hit test` and `test for equality` are code."""


def asks_for_tests(text: str) -> bool:
    """Return whether tests answer the question: ``tests for the parser``, `how are retries tested`, `parser tests`."""
    return _ASKED.fullmatch(text.strip().lower()) is not None
