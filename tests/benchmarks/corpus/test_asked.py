"""Questions that were written for the corpus: each names files of one of its repositories."""

from __future__ import annotations

import json
from dataclasses import replace

from benchmarks.corpus.kinds import asked
from benchmarks.corpus.manifest import read_manifest
from tests.benchmarks.corpus.material import material_of

LINES = [json.loads(line) for line in asked.FILE.read_text("utf-8").splitlines()]


def test_every_line_asks_a_repository_of_the_manifest_once() -> None:
    names = {entry.name for entry in read_manifest()}
    assert {name for name, *_ in LINES} <= names
    assert len({(name, query.casefold()) for name, query, *_ in LINES}) == len(LINES) > 2_000
    for name, query, relevant, secondary in LINES:
        assert query == " ".join(query.split()) and relevant, (name, query)
        assert len({*relevant, *secondary}) == len(relevant) + len(secondary), (name, query)


def test_only_questions_whose_files_are_there_are_asked() -> None:
    name, query, relevant, secondary = LINES[0]
    there = replace(material_of(dict.fromkeys([*relevant, *secondary], "x")), name=name)
    assert [(found.query, found.targets) for found in asked.questions(there)] == [(query, (*relevant, *secondary))]
    lacking = replace(material_of(dict.fromkeys([*relevant, *secondary][1:], "x")), name=name)
    assert asked.questions(lacking) == []
    assert asked.questions(material_of({"a.py": "x"})) == []
