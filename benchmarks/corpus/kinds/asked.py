"""Questions in a developer's own words -> the files to open, judged by reading the code; written for this corpus.

`asked.jsonl` has a line for each: its repository, the question, the paths that answer it (first), and the paths that
help (second). They were written from the trees alone, without any search engine, and in other words than the code's.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from benchmarks.corpus.material import Material, Question

FILE = Path(__file__).parents[1] / "asked.jsonl"


def questions(material: Material) -> list[Question]:
    """Return the repository's questions whose places are all in its tree."""
    known = material.contents.keys()
    return [question for question in _written().get(material.name, ()) if known >= set(question.targets)]


@cache
def _written() -> dict[str, list[Question]]:
    found: dict[str, list[Question]] = {}
    for line in FILE.read_text("utf-8").splitlines():
        name, query, relevant, secondary = json.loads(line)
        found.setdefault(name, []).append(Question(query, (*relevant, *secondary)))
    return found
