"""The manifest names many repositories in many languages, none that search is judged by, and splits them for good."""

from __future__ import annotations

import hashlib
import random
import re
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.corpus.licence import licence_of
from benchmarks.corpus.manifest import PARTS, UNSEEN, Entry, chosen, parts_of, read_manifest, write_manifest
from benchmarks.corpus.mirrors import mirrors_in
from tests.benchmarks.corpus.repositories import Repository
from training import held_out

needs_list = pytest.mark.skipif(
    not (held_out.EVAL / "held-out-repositories.txt").exists(), reason="the list of held-out repositories is not here"
)
ENTRIES, LATER = read_manifest(), read_manifest(UNSEEN)


def test_the_manifest_is_large_and_pinned() -> None:
    assert len(ENTRIES) >= 150
    assert len({entry.language for entry in ENTRIES}) >= 20
    assert len({entry.github.lower() for entry in ENTRIES}) == len(ENTRIES)
    for entry in ENTRIES + LATER:
        assert re.fullmatch(r"[\w.-]+/[\w.-]+", entry.github) and re.fullmatch(r"[0-9a-f]{40}", entry.revision), entry
        assert entry.licence and entry.language, entry


@needs_list
def test_the_manifest_names_nothing_held_out() -> None:
    assert [entry.github for entry in ENTRIES + LATER if held_out.is_excluded_repository(entry.github)] == []


def test_nothing_was_chosen_by_the_repositories_for_reports() -> None:
    assert len(LATER) >= 60 and len({entry.language for entry in LATER}) >= 25
    names = [entry.github.lower() for entry in ENTRIES + LATER]
    assert len(set(names)) == len(names)


@needs_list
@pytest.mark.parametrize("place", [0, -1])
def test_repositories_that_search_is_judged_by_are_excluded_with_their_forks(place: int) -> None:
    github = held_out.excluded_repositories()[place]
    assert held_out.is_excluded_repository(github)
    assert held_out.is_excluded_repository(github.upper())
    assert held_out.is_excluded_repository("another/" + github.partition("/")[2])
    assert not held_out.is_excluded_repository("another/entirely")


def test_every_language_of_three_has_each_part() -> None:
    parts = parts_of(ENTRIES)
    sizes = Counter(entry.language for entry in ENTRIES)
    for language, size in sizes.items():
        found = {parts[entry.name] for entry in ENTRIES if entry.language == language}
        assert size < 3 or found == set(PARTS), language
    shares = Counter(parts.values())
    assert shares["test"] >= 60
    assert 0.15 < shares["choose"] / len(ENTRIES) < 0.25
    assert 0.45 < shares["train"] / len(ENTRIES) < 0.55


def test_the_split_does_not_hang_on_the_order() -> None:
    shuffled = ENTRIES[:]
    random.Random(7).shuffle(shuffled)
    assert parts_of(shuffled) == parts_of(ENTRIES)


def test_the_split_is_the_one_that_was_published() -> None:
    """A repository that changed its part would be tested with weights that have seen it."""
    text = "".join(f"{name} {part}\n" for name, part in sorted(parts_of(ENTRIES).items()))
    assert (
        hashlib.sha256(text.encode()).hexdigest() == "18c4be4d5d56b451ed92d2d1f2fe2c3d2c14445140d732a7e6a12e27a25c6ad3"
    )


@pytest.mark.parametrize(
    ("files", "licence"),
    [
        ({"LICENSE": "Permission is hereby granted, free of charge, to any person"}, "MIT"),
        ({"MIT-LICENSE.txt": " * Permission is hereby granted, free\n * of charge"}, "MIT"),
        ({"COPYING": "GNU GENERAL PUBLIC LICENSE\n   Version 2, June 1991"}, "GPL-2.0"),
        ({"LICENSE.md": "Apache License\n        Version 2.0, January 2004"}, "Apache-2.0"),
        ({"LICENSE": "Redistribution and use in source and binary forms, with"}, "BSD-2-Clause"),
        ({"LICENSE": "Redistribution and use in source and binary forms ... Neither the name of"}, "BSD-3-Clause"),
        ({"LICENSE": "Permission to use, copy, modify, and/or distribute this software for any purpose"}, "ISC"),
        ({"lib/LICENSE": "Mozilla Public License Version 2.0", "README": "x"}, "MPL-2.0"),
        ({"README.md": "## License\nThis is under the MIT License."}, "MIT"),
        ({"README.md": "Ask the author.", "licence.py": "Permission is hereby granted, free of charge"}, "NOASSERTION"),
    ],
)
def test_licences_are_told_by_their_texts(files: dict[str, str], licence: str) -> None:
    assert licence_of(files) == licence


@needs_list
def test_a_repository_is_chosen_by_what_it_holds(tmp_path: Path) -> None:
    code = {f"src/part{number}.go": "package part\n\nvar x = 1\n" for number in range(6)}
    good = Repository(tmp_path, "someone+useful")
    revision = good.commit("first", {**code, "big_test.py": "x = 1\n" * 999, "LICENSE": "the MIT License"})
    Repository(tmp_path, "someone+small").commit("first", {"one.go": "package one\n"})
    Repository(tmp_path, held_out.excluded_repositories()[0].replace("/", "+")).commit("first", code)
    Repository(tmp_path, LATER[0].name).commit("first", code)
    entries = list(chosen(mirrors_in(tmp_path)))
    assert entries == [Entry("someone/useful", revision, "MIT", "go")]
    file = tmp_path / "manifest.jsonl"
    write_manifest(entries, file)
    assert read_manifest(file) == entries
