"""The model has learnt from permissive licences only, and from nothing that it is judged on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from training import held_out, near_duplicates
from training.held_out import is_excluded_package, is_excluded_path
from training.licences import is_permissive
from training.near_duplicates import hash_of, is_near_duplicate, is_question, shingles_of

MANIFEST = Path(held_out.__file__).with_name("manifest.jsonl")
needs_list = pytest.mark.skipif(
    not (held_out.EVAL / "held-out-repositories.txt").exists(), reason="the list of held-out repositories is not here"
)


@pytest.mark.parametrize(
    "expression",
    [
        "MIT",
        "Expat or GPL-2+",
        "(MIT OR Apache-2.0)",
        "BSD-3-Clause",
        "Apache License, Version 2.0",
        "MIT / Apache-2.0",
        "ISC License (ISCL)",
        "Apache-2.0 with LLVM-exception",
        "MIT AND PSF-2.0",
        "The MIT License (MIT)",
    ],
)
def test_permissive(expression: str) -> None:
    assert is_permissive(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "GPL-2+",
        "LGPL-2.1",
        "MIT and GPL-3",
        "MPL-2.0",
        "AGPL-3.0",
        "GPL-2 with OpenSSL exception",
        "UNLICENSED",
        "SEE LICENSE IN file",
        "Artistic",
        "CC-BY-SA-4.0",
        "Proprietary",
        "BUSL-1.1",
        "LGPL-2+-with-OCaml-exception",
    ],
)
def test_not_permissive(expression: str) -> None:
    assert not is_permissive(expression)


def test_the_manifest_pins_each_package_and_its_licence() -> None:
    rows = [json.loads(line) for line in MANIFEST.read_text().splitlines()]
    assert len(rows) > 2_000
    for row in rows:
        assert row["name"] and row["version"] and len(row["sha256"]) == 64, row
        named = [row["licence"]] if row["source"] in ("pypi", "npm") else row["licence"].split("; ")
        wanted = all if row["source"] == "debian-binary" else any  # Single files of source packages are left out.
        assert wanted(is_permissive(licence) for licence in named), row


def test_the_manifest_states_the_version_of_the_file_that_it_pins() -> None:
    for row in (json.loads(line) for line in MANIFEST.read_text().splitlines()):
        version = row["version"].rpartition(":")[2]
        if row["source"] == "debian":
            file = row["copyright"] or row["archive"]
            assert file.startswith(f"{row['name']}_{version}."), row
        elif row["source"] == "pypi":
            assert row["archive"].split("-")[1] == version or f"-{version}." in row["archive"], row


@needs_list
def test_the_manifest_names_nothing_held_out() -> None:
    rows = [json.loads(line) for line in MANIFEST.read_text().splitlines()]
    assert [row["name"] for row in rows if is_excluded_package(row["name"])] == []


@needs_list
@pytest.mark.parametrize(
    "name",
    [
        "click",
        "requests",
        "python3-requests",
        "libcurl4",
        "curl",
        "golang-github-spf13-cobra-dev",
        "ruby-rack",
        "rails",
        "librust-serde-dev",
        "haskell-aeson",
        "node-express",
        "express",
        "php-guzzlehttp-promises",
        "ruby-activerecord",
        "@vitest/runner",
        "redis",
        "librust-tokio-dev",
        "libjackson2-databind-java",
        "@reduxjs/toolkit",
        "axios",
        "zod",
    ],
)
def test_packages_of_evaluation_repositories_are_excluded(name: str) -> None:
    assert is_excluded_package(name)


@needs_list
@pytest.mark.parametrize(
    "name", ["attrs", "ruby-mustache", "librust-regex-dev", "golang-github-pkg-errors-dev", "lodash"]
)
def test_other_packages_are_not(name: str) -> None:
    assert not is_excluded_package(name)


@needs_list
@pytest.mark.parametrize(
    "path",
    [
        "pip-24/src/pip/_vendor/requests/api.py",
        "x-1.0/deps/libuv/src/unix/core.c",
        "a/third/abseil-cpp-2023/absl/x.h",
        "a/vendor/click/core.py",
        "lib/click.py",
        "a/gems/rack-2.2.4/lib/x.rb",
    ],
)
def test_copies_within_other_packages_are_excluded(path: str) -> None:
    assert is_excluded_path(path)


@needs_list
def test_other_paths_are_not() -> None:
    assert not is_excluded_path("attrs-23/src/attr/_make.py")
    assert not is_excluded_path("x-1.0/lib/json/parser.rb")


EVALUATED = "\n".join(f"    total_{n} = compute_value({n}) + offset_{n}" for n in range(12))


def test_a_near_duplicate_is_found_though_spaces_and_a_line_differ() -> None:
    shingles = np.unique(shingles_of(EVALUATED))
    changed = EVALUATED.replace("    ", "\t").replace("compute_value(6)", "other(6)")
    assert is_near_duplicate(changed, shingles)
    assert is_near_duplicate("def f():\n" + EVALUATED, shingles)


def test_other_code_is_no_near_duplicate() -> None:
    shingles = np.unique(shingles_of(EVALUATED))
    other = "\n".join(f"    result_{n} = transform_item({n}) - shift_{n}" for n in range(12))
    assert not is_near_duplicate(other, shingles)
    assert not is_near_duplicate(other, np.zeros(0, np.uint64))


def test_hashes_are_the_same_on_every_run() -> None:
    assert hash_of("a\nb") == 6888081726617775527


@needs_list
def test_evaluation_questions_are_no_training_docs() -> None:
    questions = json.loads((held_out.EVAL / "search-dev.json").read_text())[0]["queries"]
    long = next(query["query"] for query in questions if len(query["query"]) > 30)
    assert is_question(long)
    assert is_question(f"Note: {long.upper()}!")
    assert not is_question("Reads the next line of the file and returns it without its end.")
    assert not is_question("")


def test_the_records_that_were_left_out_are_listed() -> None:
    keys = near_duplicates.listed()
    assert keys and all(len(key) == 20 for key in keys)
